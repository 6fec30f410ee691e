"""Average precision of detections as COCO has it: by pycocotools, through torchmetrics."""

from collections.abc import Iterator
from math import nan
from typing import Final

import numpy as np
import torch
from torch import Tensor

from bissl_ray.downstream.detection.found import Split

COCO_FIGURES: Final = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
"""What `coco_average_precision` gives, in this order."""

# Those of pycocotools, to the last bit: torchmetrics' own are rounded to float32.
_IOUS: Final = np.linspace(0.5, 0.95, 10)
_RECALLS: Final = np.linspace(0.0, 1.0, 101)


def coco_average_precision(split: Split) -> tuple[float, ...]:
    """Average precision of one class.

    Of equal scores the one that was found first comes first. The 100 best detections of an image count. The pixels of
    objects' areas are compared with 32² and 96²; an object on the border is of both sizes.

    pycocotools keeps kilobytes for each image and class, so that it is not given all classes at once.

    Args:
        split: detections and objects of one class, with at least one object that is not ignored; those that are, are
            handed over as "iscrowd".

    Returns:
        `COCO_FIGURES` in [0, 1]: the mean over the IoUs 0.5, 0.55, ..., 0.95; at 0.5; at 0.75; and the first again of
        small, medium and large objects, NaN where there is no object of that size.
    """
    # Seconds to import.
    from torchmetrics.detection import MeanAveragePrecision

    # Not synchronised: the other workers aren't here, and it has everything.
    metric = MeanAveragePrecision(
        iou_thresholds=_IOUS.tolist(), rec_thresholds=_RECALLS.tolist(), extended_summary=True, sync_on_compute=False
    )
    metric.warn_on_many_detections = False
    metric.update(list(_detections(split)), list(_objects(split)))
    # The summary is float32; this is float64: by IoU, recall, the one class, size, and number of detections.
    any_size, small, medium, large = np.moveaxis(metric.compute()["precision"].numpy()[:, :, 0, :, -1], -1, 0)
    parts = (any_size, any_size[_IOUS == 0.5], any_size[_IOUS == 0.75], small, medium, large)
    return tuple(float(part.mean()) if part.min() >= 0 else nan for part in parts)


def _detections(split: Split) -> Iterator[dict[str, Tensor]]:
    for boxes, scores, classes in _of_images(split.found, split.found_in_each):
        yield {"boxes": boxes, "scores": scores, "labels": classes}


def _objects(split: Split) -> Iterator[dict[str, Tensor]]:
    truth = split.truth
    # torchmetrics takes an area of 0 for none given, and puts the box's in its place.
    areas = truth.areas.clamp_min(torch.finfo(torch.float64).tiny)
    columns = (truth.boxes, truth.classes, truth.ignored.long(), areas)
    for boxes, classes, crowd, area in _of_images(columns, split.objects_in_each):
        yield {"boxes": boxes, "labels": classes, "iscrowd": crowd, "area": area}


def _of_images(columns: tuple[Tensor, ...], in_each: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(torch.split(column, in_each.tolist()) for column in columns), strict=True)
