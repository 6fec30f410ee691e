"""The protocol of a downstream task: a supervised loss, the head it needs, and the figures that it is judged by."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from bissl_ray.downstream.tally import Tally

LabelledImages = tuple[Tensor, Tensor]


class DownstreamTask(nn.Module, ABC):
    """A supervised objective L_D with its linear head φ_D; the backbone is handed to it, not owned.

    The head's weights are drawn from torch's global generator: the same seed gives the same head.

    Args:
        feature_dim: width of the backbone's features.
        classes: how many classes there are.

    Attributes:
        classes: how many classes the head tells apart.
        head: from features to one score per class.
    """

    def __init__(self, feature_dim: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.head = nn.Linear(feature_dim, classes)

    def forward(self, features: Tensor) -> Tensor:
        """Scores (n, classes) of features (n, feature_dim): logits, the higher the likelier."""
        # Not in bfloat16, whatever the backbone's arithmetic: with its 8 bits many classes would tie.
        with torch.autocast(features.device.type, enabled=False):
            logits: Tensor = self.head(features.to(self.head.weight.dtype))
        return logits

    @property
    @abstractmethod
    def label_shape(self) -> tuple[int, ...]:
        """Shape of one image's label: () for a class, (classes,) for a number for each."""

    @abstractmethod
    def loss_of_scores(self, scores: Tensor, labels: Tensor) -> Tensor:
        """One loss per image, (n,), so that its mean over any images is the loss on them.

        Args:
            scores: (n, classes).
            labels: integers (n, *label_shape).

        Raises:
            BadInputError: the labels' shape is not that of the task.
        """

    @abstractmethod
    def tally(self) -> Tally:
        """What the task's figures over a split are taken with."""

    def loss(self, backbone: nn.Module, batch: LabelledImages) -> Tensor:
        """The mean loss over this worker's images, a scalar.

        With equal shares the mean of these over workers is the loss on the global batch.

        Args:
            backbone: maps images (n, 3, H, W) to features (n, feature_dim).
            batch: images (n, 3, H, W) and integer labels (n, *label_shape).
        """
        images, labels = batch
        return self.loss_of_scores(self(backbone(images)), labels).mean()
