"""Single-label classification: cross entropy, and accuracy over a split."""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from bissl_ray.downstream.base import refuse_no_images
from bissl_ray.downstream.linear import LinearTask, Tally
from bissl_ray.errors import BadInputError
from bissl_ray.parallel import Group, all_reduce_sum

_FIRST: Final = 5


class AccuracyTally(Tally):
    """Counts images and hits by class, on the device; workers' counts are summed once.

    An image is a hit among the first k where fewer than k classes come before its own. Of equal scores the lower class
    number comes first, so that figures are the same on every device; a score that is not a number is never a hit.

    Args:
        classes: how many classes there are.
        device: where scores and labels are.
    """

    def __init__(self, classes: int, device: torch.device) -> None:
        # float64 holds counts exactly up to 2^53. Rows: images, hits, hits among the first five.
        self._counts = torch.zeros(3, classes, dtype=torch.float64, device=device)
        self._numbers = torch.arange(classes, device=device)

    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Take in a batch: scores (n, classes), labels (n,)."""
        own = scores.gather(1, labels[:, None])
        not_before = (scores < own) | ((scores == own) & (self._numbers >= labels[:, None]))
        before = scores.shape[1] - not_before.sum(dim=1)
        counted = torch.stack([torch.ones_like(before), before < 1, before < _FIRST]).double()
        self._counts.index_add_(1, labels, counted)

    def figures(self, group: Group = None) -> dict[str, float]:
        """The figures; see `Tally.figures`.

        Returns:
            top1: fraction of images classified rightly;
            top5: fraction whose class is among the first five, where there are more classes than five;
            mean_per_class: mean over the classes that occur of the fraction classified rightly.
        """
        images, hits, among_first = all_reduce_sum(self._counts, group).cpu()
        count = images.sum()
        if count == 0:
            raise refuse_no_images()
        occurring = images > 0
        top5 = {"top5": float(among_first.sum() / count)} if images.numel() > _FIRST else {}
        mean_per_class = float((hits[occurring] / images[occurring]).mean())
        return {"top1": float(hits.sum() / count), **top5, "mean_per_class": mean_per_class}


class ClassificationTask(LinearTask):
    """Each image belongs to one of `classes` classes: labels are int64 (n,), from 0 to classes - 1."""

    metrics = ("top1", "top5", "mean_per_class")

    @property
    def label_shape(self) -> tuple[int, ...]:
        """One class."""
        return ()

    def loss_of_scores(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy of each image, (n,)."""
        if labels.ndim != 1:
            raise BadInputError(
                f"labels of shape {tuple(labels.shape)} for classification; expected one class for each of "
                f"{scores.shape[0]} images: images that show several classes need the task multi_label"
            )
        return F.cross_entropy(scores, labels, reduction="none")

    def tally(self) -> AccuracyTally:
        """Top-1, top-5 and the mean over classes."""
        return AccuracyTally(self.classes, self.head.weight.device)
