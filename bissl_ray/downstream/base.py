"""The protocol of a downstream task: a supervised loss, the head it needs, and the figures that it is judged by."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bissl_ray.errors import BadInputError
from bissl_ray.parallel import Group, all_reduce_sum


class Tally(ABC):
    """Takes in scores batch by batch and sums up once, over all workers."""

    @abstractmethod
    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Take in a batch.

        Args:
            scores: (n, classes), the higher the likelier.
            labels: integers (n, *label_shape) of the task.
        """

    @abstractmethod
    def figures(self, group: Group = None) -> dict[str, float]:
        """The figures over what all workers took in, each in [0, 1], the same on every worker (collective).

        Shares may be uneven or empty. Where shares are cut in the order of the split, as `evaluation_batches` cuts
        them, nothing depends on how many workers there are.

        Raises:
            BadInputError: no worker took in any image, or the figures have no meaning on these; alike on every worker.
        """


def refuse_no_images() -> BadInputError:
    """The error for a split without images."""
    return BadInputError("no images to evaluate on any worker; expected at least one: check the split")


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


def evaluate(
    backbone: nn.Module,
    task: DownstreamTask,
    batches: Iterable[LabelledImages],
    group: Group = None,
) -> dict[str, float]:
    """Score a model on a split, in evaluation mode; each module's mode is restored afterwards.

    Every worker must call, and gets the same figures: those of one process, for every image is counted
    once. Shares may be uneven or empty.

    Args:
        backbone: maps images to features.
        task: the head, its loss and its figures.
        batches: this worker's share of the split, on the task's device, in the order of the split.
        group: the workers that share the split.

    Returns:
        All figures of the task's `tally`, in [0, 1] (top1, top5 and mean_per_class, or map11 and map), and
        loss: mean loss per image.

    Raises:
        BadInputError: no worker has any image, or the labels don't suit the task.
    """
    tally = task.tally()
    totals = torch.zeros(2, dtype=torch.float64, device=next(task.parameters()).device)
    with torch.no_grad(), evaluation_mode(backbone, task):
        for images, labels in batches:
            scores = task(backbone(images))
            losses = task.loss_of_scores(scores, labels)
            totals += torch.stack([losses.double().sum(), torch.ones_like(losses).double().sum()])
            tally.add(scores, labels)
        figures = tally.figures(group)
        loss, count = all_reduce_sum(totals, group).tolist()
    return {**figures, "loss": loss / count}


@contextmanager
def evaluation_mode(*modules: nn.Module) -> Iterator[None]:
    """Put modules into evaluation mode, and each part back into its own afterwards."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for part, training in modes:
            part.training = training
