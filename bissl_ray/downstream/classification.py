"""Single-label classification: cross entropy."""

import torch.nn.functional as F
from torch import Tensor

from bissl_ray.downstream.accuracy import AccuracyTally
from bissl_ray.downstream.base import DownstreamTask
from bissl_ray.errors import BadInputError


class ClassificationTask(DownstreamTask):
    """Each image belongs to one of `classes` classes: labels are int64 (n,), from 0 to classes - 1."""

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
