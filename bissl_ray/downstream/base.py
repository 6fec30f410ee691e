"""The protocol of a downstream task: a supervised loss and the head it needs."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

LabelledImages = tuple[Tensor, Tensor]


class DownstreamTask(nn.Module, ABC):
    """A supervised objective L_D with its head φ_D; the backbone is handed to it, not owned.

    Attributes:
        classes: how many classes the head tells apart.
    """

    classes: int

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Scores (n, classes) of features (n, feature_dim); the highest is the prediction."""

    @abstractmethod
    def loss_of_scores(self, scores: Tensor, labels: Tensor) -> Tensor:
        """One loss per image, (n,), of scores (n, classes) and integer labels (n,)."""

    def loss(self, backbone: nn.Module, batch: LabelledImages) -> Tensor:
        """The mean loss over this worker's images, a scalar.

        With equal shares the mean of these over workers is the loss on the global batch.

        Args:
            backbone: maps images (n, 3, H, W) to features (n, feature_dim).
            batch: images (n, 3, H, W) and integer labels (n,).
        """
        images, labels = batch
        return self.loss_of_scores(self(backbone(images)), labels).mean()
