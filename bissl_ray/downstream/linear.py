"""What the tasks have in common that put one linear layer on pooled features."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from bissl_ray.config.settings import Settings
from bissl_ray.data.spec import DatasetSpec, Target
from bissl_ray.data.transforms import InSteps, Place, evaluation_transform, in_steps, train_transform
from bissl_ray.downstream.base import DownstreamTask, Prepare, in_mode
from bissl_ray.errors import BadInputError
from bissl_ray.models import Backbone
from bissl_ray.parallel import Group, all_reduce_sum

LabelledImages = tuple[Tensor, Tensor]
"""Images (n, 3, S, S) and integer labels (n, *label_shape)."""


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


@dataclass(frozen=True)
class _Labelled:
    transform: Callable[[Any], Any]

    def __call__(self, image: Any, target: Target) -> tuple[Any, Tensor]:
        return self.transform(image), torch.tensor(target)

    def in_steps(self, place: Place) -> InSteps:
        """The images' transform in its two steps; labels stay as they are."""
        steps = in_steps(self.transform, None, place)
        return InSteps(_Labelled(steps.prepare), _Collated(steps.collate), _Finished(steps.finish))


@dataclass(frozen=True)
class _Collated:
    collate: Callable[[Sequence[Any]], Any]

    def __call__(self, samples: Sequence[tuple[Any, Tensor]]) -> tuple[Any, Tensor]:
        images, labels = zip(*samples, strict=True)
        return self.collate(images), torch.stack(labels)


@dataclass(frozen=True)
class _Finished:
    finish: Callable[[Any], Tensor]

    def __call__(self, batch: tuple[Any, Tensor]) -> LabelledImages:
        images, labels = batch
        return self.finish(images), labels


class LinearTask(DownstreamTask):
    """Scores of classes by a linear layer on the features that a backbone pools.

    Args:
        feature_dim: width of the backbone's features.
        classes: how many classes there are.

    Attributes:
        classes: how many classes the head tells apart.
        head: from features to one score per class.

    Raises:
        BadInputError: there are fewer than two classes.
    """

    def __init__(self, feature_dim: int, classes: int | None) -> None:
        super().__init__()
        if classes is None or classes < 2:
            found = "no classes" if classes is None else f"{classes} classes"
            raise BadInputError(f"{found} cannot be told apart; expected at least 2: check the dataset's labels")
        self.classes = classes
        self.head = nn.Linear(feature_dim, classes)

    @classmethod
    def build(cls, backbone: Backbone, classes: int | None, settings: Settings) -> Self:
        """The task of a trial; no setting is read."""
        return cls(backbone.feature_dim, classes)

    @classmethod
    def train_sample(cls, spec: DatasetSpec, settings: Settings) -> Prepare:
        """An augmented image, float32 (3, S, S), and its label, int64."""
        return _Labelled(train_transform(spec, settings.image_size))

    @classmethod
    def evaluation_sample(cls, spec: DatasetSpec, settings: Settings) -> Prepare:
        """The central part of an image, and its label."""
        return _Labelled(evaluation_transform(spec, settings.image_size))

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
        """The mean loss over this worker's images; see `DownstreamTask.loss`.

        Args:
            backbone: maps images (n, 3, S, S) to features (n, feature_dim).
            batch: as `LabelledImages`.
        """
        images, labels = batch
        return self.loss_of_scores(self(backbone(images)), labels).mean()

    def evaluate(self, backbone: nn.Module, batches: Iterable[LabelledImages], group: Group = None) -> dict[str, float]:
        """Score a model on a split; see `DownstreamTask.evaluate`.

        Returns:
            All figures of the task's `tally`, in [0, 1], and loss: mean loss per image.

        Raises:
            BadInputError: no worker has any image, or the labels don't suit the task.
        """
        tally = self.tally()
        totals = torch.zeros(2, dtype=torch.float64, device=self.head.weight.device)
        with torch.no_grad(), in_mode(False, backbone, self):
            for images, labels in batches:
                scores = self(backbone(images))
                losses = self.loss_of_scores(scores, labels)
                totals += torch.stack([losses.double().sum(), torch.ones_like(losses).double().sum()])
                tally.add(scores, labels)
            figures = tally.figures(group)
            loss, count = all_reduce_sum(totals, group).tolist()
        return {**figures, "loss": loss / count}
