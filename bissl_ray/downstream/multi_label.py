"""Multi-label classification: an image shows any number of classes; binary cross entropy for each."""

import torch.nn.functional as F
from torch import Tensor

from bissl_ray.data.spec import UNCERTAIN
from bissl_ray.downstream.average_precision import RankingTally
from bissl_ray.downstream.base import DownstreamTask
from bissl_ray.errors import BadInputError


class MultiLabelTask(DownstreamTask):
    """Each image shows any number of `classes` classes.

    Labels are int64 (n, classes): 1 shown, 0 not, `UNCERTAIN` not counted, neither in the loss nor in the figures.
    """

    @property
    def label_shape(self) -> tuple[int, ...]:
        """A number for each class."""
        return (self.classes,)

    def loss_of_scores(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Binary cross entropy of each image, (n,): the mean over the classes that count in it; 0 where none does.

        Every image weighs alike, however many classes count in it. A mean over all counted labels of a batch would
        not be the mean of the workers' own, since some have more of them; this one is.
        """
        if labels.shape != scores.shape:
            raise BadInputError(
                f"labels of shape {tuple(labels.shape)} for multi_label; expected {tuple(scores.shape)}, one number "
                "for each class of each image: images of one class each need the task classification"
            )
        counted = labels != UNCERTAIN
        losses = F.binary_cross_entropy_with_logits(scores, (labels == 1).to(scores.dtype), reduction="none")
        return losses.where(counted, 0).sum(dim=1) / counted.sum(dim=1).clamp_min(1)

    def tally(self) -> RankingTally:
        """Mean average precision, by 11 points and by all."""
        return RankingTally(self.classes, self.head.weight.device)
