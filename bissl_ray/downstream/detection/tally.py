"""The figures of a detector over a split: average precision as COCO and as VOC have it, over all workers, once."""

from math import isnan
from statistics import fmean
from typing import Final, NamedTuple

import torch
from torch import Tensor

from bissl_ray.downstream.base import refuse_no_images
from bissl_ray.downstream.detection.coco import COCO_FIGURES, coco_average_precision
from bissl_ray.downstream.detection.found import Found, Split, Truth
from bissl_ray.downstream.detection.voc import VOC_FIGURES, voc_average_precision
from bissl_ray.errors import BadInputError
from bissl_ray.parallel import Group, copy_from_first_worker, gather_rows, rank

_FIGURES: Final = (*COCO_FIGURES, *VOC_FIGURES)


class ClassFigures(NamedTuple):
    """What `DetectionTally.figures` are the means of, of one class; None where it has no object that counts.

    Attributes:
        number: of the class, from 0.
        objects: how many of it count: neither crowds nor difficult ones.
    """

    number: int
    ap: float | None
    ap50: float | None
    voc07_ap50: float | None
    voc12_ap50: float | None
    objects: int


class DetectionTally:
    """Takes in images one by one and scores all workers' at once, since a mean over shares is none.

    COCO's figures are pycocotools' in float64, VOC's those of the development kits; see `coco_average_precision` and
    `voc_average_precision`. Worker 0 alone computes them: the others get its very numbers.

    Args:
        classes: how many classes there are.
        device: which workers gather on.
    """

    def __init__(self, classes: int, device: torch.device) -> None:
        self._classes = classes
        # Begun with no rows: a worker without images gathers as many columns as the others.
        self._counts, self._found, self._truth = (
            [torch.zeros(0, columns, dtype=torch.float64, device=device)] for columns in (2, 6, 8)
        )
        self._scored: list[list[float]] | None = None

    def add(self, found: Found, truth: Truth) -> None:
        """Take in an image, in the order of the split; none any more once figures were taken.

        A detection with a number that is not finite is left out: pycocotools would take it for a hit.
        """
        if self._scored is not None:
            raise RuntimeError("an image was added to a tally whose figures were taken: begin another tally")
        rows = self._rows(found.boxes, found.scores, found.classes)
        rows = rows[rows.isfinite().all(dim=1)]
        self._found.append(rows)
        self._truth.append(self._rows(truth.boxes, truth.classes, truth.crowd, truth.difficult, truth.areas))
        self._counts.append(self._counts[0].new_tensor([[len(rows), len(truth.classes)]]))

    def figures(self, group: Group = None) -> dict[str, float]:
        """The figures over what all workers took in, each in [0, 1], the same on every worker (collective).

        Shares may be uneven or empty. Where they are cut in the order of the split, nothing depends on how many
        workers there are. Each figure is the mean over the classes that have an object that counts.

        Returns:
            ap: mean over the IoUs 0.5, 0.55, ..., 0.95 of COCO's average precision, and ap50 and ap75 at one IoU;
            ap_small, ap_medium, ap_large: that of objects of one size, where the split has any that count;
            voc07_ap50, voc12_ap50: VOC's by 11 points, and by the area.

        Raises:
            BadInputError: no worker took in any image, or none with an object that counts; alike on every worker.
        """
        means = {}
        for name, column in zip(_FIGURES, list(zip(*self._by_class(group), strict=True))[:-1], strict=True):
            of_classes = [value for value in column if not isnan(value)]
            if of_classes:
                means[name] = fmean(of_classes)
        return means

    def by_class(self, group: Group = None) -> list[ClassFigures]:
        """The figures of each class, in order of its number; see `figures` (collective)."""
        return [
            ClassFigures(
                number=number,
                objects=int(row[-1]),
                **{
                    name: None if isnan(value) else value
                    for name, value in zip(_FIGURES, row[:-1], strict=True)
                    if name in ClassFigures._fields
                },
            )
            for number, row in enumerate(self._by_class(group))
        ]

    def _rows(self, *columns: Tensor) -> Tensor:
        return torch.column_stack([column.to(self._counts[0]) for column in columns])

    def _by_class(self, group: Group) -> list[list[float]]:
        """A row per class with `_FIGURES`, NaN where there is nothing to find, and the number of objects; kept."""
        if self._scored is None:
            split = self._gathered(group)
            images, counted = len(split.objects_in_each), int((~split.truth.ignored).sum())
            if not images:
                raise refuse_no_images()
            if not counted:
                raise BadInputError(
                    f"{images} images without any object to find, {len(split.truth.classes)} that are crowds or "
                    "marked difficult aside; expected at least one: check the split's annotations"
                )
            self._scored = self._scored_by_first_worker(split, group)
        return self._scored

    def _gathered(self, group: Group) -> Split:
        counts, found, truth = (
            gather_rows(torch.cat(parts), group).cpu() for parts in (self._counts, self._found, self._truth)
        )
        classes, crowd, difficult, areas = truth[:, 4:].T
        found_in_each, objects_in_each = counts.long().T
        return Split(
            Found(found[:, :4], found[:, 4], found[:, 5].long()),
            Truth(truth[:, :4], classes.long(), crowd.bool(), difficult.bool(), areas),
            found_in_each,
            objects_in_each,
        )

    def _scored_by_first_worker(self, split: Split, group: Group) -> list[list[float]]:
        # The number of objects stays NaN where worker 0 fails, which tells the others, who wait for it.
        table = self._counts[0].new_full((self._classes, len(_FIGURES) + 1), torch.nan)
        try:
            if rank(group) == 0:
                table.copy_(_score(split, self._classes))
        finally:
            copy_from_first_worker([table], group)
        if table[:, -1].isnan().any():
            raise RuntimeError("worker 0 failed to score the detections; its own error says why")
        rows: list[list[float]] = table.tolist()
        return rows


def _score(split: Split, classes: int) -> Tensor:
    table = torch.full((classes, len(_FIGURES) + 1), torch.nan, dtype=torch.float64)
    table[:, -1] = split.truth.classes[~split.truth.ignored].bincount(minlength=classes)
    for number in table[:, -1].nonzero()[:, 0].tolist():
        of_class = split.of_class(number)
        figures = (*coco_average_precision(of_class), *voc_average_precision(of_class))
        table[number, :-1] = torch.tensor(figures, dtype=table.dtype)
    return table
