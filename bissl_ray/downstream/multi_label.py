"""Multi-label classification: an image shows any number of classes; binary cross entropy, mean average precision."""

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from bissl_ray.data.spec import UNCERTAIN
from bissl_ray.downstream.base import refuse_no_images
from bissl_ray.downstream.linear import LinearTask, Tally
from bissl_ray.errors import BadInputError
from bissl_ray.parallel import Group, gather_rows

_POINTS: Final = 11


class AveragePrecision(NamedTuple):
    """Two summaries of one precision-recall curve, in [0, 1].

    Attributes:
        eleven_points: mean over t = 0, 0.1, ..., 1 of the highest precision at a recall of at least t (Everingham et
            al. 2010, "The PASCAL visual object classes (VOC) challenge", section 4.2; the development kit of VOC2007).
        all_points: sum of precision times the step in recall, as scikit-learn's `average_precision_score`.
    """

    eleven_points: float
    all_points: float


def average_precision(scores: Tensor, shown: Tensor) -> AveragePrecision:
    """Rank images by score and summarise precision and recall.

    A point of the curve is a threshold: images of equal score are above it together, so that the order in which they
    come has no say (the development kit leaves it to its sort).

    Args:
        scores: (n,), the higher the likelier.
        shown: bool (n,), at least one true.
    """
    ranked, order = scores.sort(descending=True)
    last_of_equals = torch.ones_like(ranked, dtype=torch.bool)
    last_of_equals[:-1] = ranked[1:] != ranked[:-1]
    found = shown[order].cumsum(0)[last_of_equals]
    above = torch.arange(1, len(scores) + 1, device=scores.device)[last_of_equals]
    precision = found.double() / above
    highest_from_here = precision.flip(0).cummax(0).values.flip(0)
    # In whole numbers: as floats, a recall of 3/10 is below 3 times 0.1.
    tenths = torch.arange(_POINTS, device=scores.device) * found[-1]
    at_least = torch.searchsorted(found * (_POINTS - 1), tenths)
    steps = found.diff(prepend=found.new_zeros(1))
    return AveragePrecision(float(highest_from_here[at_least].mean()), float((precision * steps).sum() / found[-1]))


class RankingTally(Tally):
    """Keeps scores and labels; those of all workers are gathered and ranked once, for a mean over shares is none.

    Args:
        classes: how many classes there are.
        device: where scores and labels are.
    """

    def __init__(self, classes: int, device: torch.device) -> None:
        # Begun with no rows: a worker without images gathers as many columns as the others.
        self._scores = [torch.zeros(0, classes, dtype=torch.float64, device=device)]
        self._labels = [torch.zeros(0, classes, dtype=torch.int8, device=device)]

    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Take in a batch: scores and labels (n, classes)."""
        self._scores.append(scores.double())
        self._labels.append(labels.to(torch.int8))

    def figures(self, group: Group = None) -> dict[str, float]:
        """The figures; see `Tally.figures`.

        A class is ranked over the images in which it counts. One that no image shows has no precision and is left out
        of the means.

        Returns:
            map11: mean over classes of the 11-point average precision;
            map: mean over classes of the average precision by all points.

        Raises:
            BadInputError: no images, or none that shows any class.
        """
        scores = gather_rows(torch.cat(self._scores), group).cpu()
        labels = gather_rows(torch.cat(self._labels), group).cpu()
        if len(labels) == 0:
            raise refuse_no_images()
        found = [
            average_precision(scores[counted, number], labels[counted, number] == 1)
            for number, counted in enumerate((labels != UNCERTAIN).T)
            if (labels[:, number] == 1).any()
        ]
        if not found:
            raise BadInputError(
                f"none of {len(labels)} images shows any of {labels.shape[1]} classes, so that there is nothing to "
                "find; expected at least one: check the split's labels"
            )
        eleven_points, all_points = torch.tensor(found, dtype=torch.float64).mean(dim=0).tolist()
        return {"map11": eleven_points, "map": all_points}


class MultiLabelTask(LinearTask):
    """Each image shows any number of `classes` classes.

    Labels are int64 (n, classes): 1 shown, 0 not, `UNCERTAIN` not counted, neither in the loss nor in the figures.
    """

    metrics = ("map11", "map")

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
