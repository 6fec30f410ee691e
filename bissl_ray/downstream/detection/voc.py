"""Average precision of detections at an IoU of 0.5, as the development kits of PASCAL VOC have it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bissl_ray.downstream.detection.found import Split

VOC_FIGURES: Final = ("voc07_ap50", "voc12_ap50")
"""What `voc_average_precision` gives, in this order."""

_IOU: Final = 0.5
_POINTS: Final = 11

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


def voc_average_precision(split: Split) -> tuple[float, float]:
    """Average precision of one class.

    A detection goes with that object of its image which it overlaps most. It is right where the IoU is at least 0.5
    and no detection of a higher score was right about this object, and neither right nor wrong where the IoU is at
    least 0.5 and the object is ignored; else it is wrong. Of equal scores the one that was found first comes first.
    However many detections an image has, all count.

    The kits' boxes count from pixel 1 and contain their right and bottom pixels, so that a width is right - left + 1.
    Boxes here end where those pixels end, and the width is right - left: the IoU is the same, with no 1 added.

    Args:
        split: detections and objects of one class, with at least one object that is not ignored.

    Returns:
        `VOC_FIGURES` in [0, 1]: the mean over t = 0, 0.1, ..., 1 of the highest precision at a recall of at least t
        (kits up to VOC2009; Everingham et al. 2010, "The PASCAL visual object classes (VOC) challenge", section 4.2),
        and the area under that highest precision (kits from VOC2010 on).
    """
    ranked = np.argsort(-split.found.scores.numpy(), kind="stable")
    found_in, objects_in = (
        np.repeat(np.arange(len(counts)), counts.numpy()) for counts in (split.found_in_each, split.objects_in_each)
    )
    boxes, objects, ignored = split.found.boxes.numpy(), split.truth.boxes.numpy(), split.truth.ignored.numpy()
    overlaps, nearest = _nearest(boxes[ranked], found_in[ranked], objects, objects_in)
    return average_precision(_judged(overlaps, nearest, ignored), int((~ignored).sum()))


def average_precision(right: Bools, positives: int) -> tuple[float, float]:
    """Summarise a precision-recall curve by eleven points, and by its area; see `voc_average_precision`.

    Args:
        right: (k,), of each detection, the likeliest first.
        positives: how many objects there are to find, at least one.
    """
    found = right.cumsum()
    precision = found / np.arange(1, len(right) + 1)
    highest_from_here = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    # In whole numbers: as floats, a recall of 3/10 is below 3 times 0.1.
    at_least = np.searchsorted(found * (_POINTS - 1), np.arange(_POINTS) * positives)
    area = (highest_from_here[:-1] * right).sum() / positives
    return float(highest_from_here[at_least].mean()), float(area)


def _nearest(boxes: Floats, images: Integers, objects: Floats, their_images: Integers) -> tuple[Floats, Integers]:
    """Of each box, the IoU with the object of its image that it overlaps most, and which that is; 0 and -1: none.

    Args:
        boxes: (k, 4).
        images: (k,), where the boxes are.
        objects: (m, 4).
        their_images: (m,), where the objects are, ascending.
    """
    first = np.searchsorted(their_images, images)
    counts = np.searchsorted(their_images, images, side="right") - first
    # Each box with each object of its image.
    box = np.repeat(np.arange(len(boxes)), counts)
    place = np.arange(len(box)) - np.repeat(counts.cumsum() - counts, counts)
    item = first[box] + place
    ious = _iou(boxes[box], objects[item])
    # Sorted stably: of equal ones the first object stays first.
    order = np.lexsort((-ious, box))
    with_any, best = np.unique(box[order], return_index=True)
    overlaps, nearest = np.zeros(len(boxes)), np.full(len(boxes), -1)
    overlaps[with_any], nearest[with_any] = ious[order][best], item[order][best]
    return overlaps, nearest


def _iou(one: Floats, other: Floats) -> Floats:
    """Intersection over union, pair by pair: two times (n, 4) to (n,)."""
    sides = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    shared = sides.clip(min=0).prod(axis=1)
    union = (one[:, 2:] - one[:, :2]).prod(axis=1) + (other[:, 2:] - other[:, :2]).prod(axis=1) - shared
    ious: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return ious


def _judged(overlaps: Floats, nearest: Integers, ignored: Bools) -> Bools:
    """Which detections are right, the likeliest first; those that are neither right nor wrong are left out."""
    hits = overlaps >= _IOU
    on_ignored = np.zeros_like(hits)
    on_ignored[hits] = ignored[nearest[hits]]
    hits, nearest = hits[~on_ignored], nearest[~on_ignored]
    right = np.zeros_like(hits)
    places = np.flatnonzero(hits)
    _, first = np.unique(nearest[places], return_index=True)
    right[places[first]] = True
    return right
