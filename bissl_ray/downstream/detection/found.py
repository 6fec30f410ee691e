"""What was found in images, and what there was to find: what the figures of a detector are computed from."""

from typing import NamedTuple

import torch
from torch import Tensor


class Found(NamedTuple):
    """Detections, k of them.

    Attributes:
        boxes: floats (k, 4): left, top, right, bottom in pixels of the annotated image.
        scores: floats (k,), the higher the likelier.
        classes: integers (k,), from 0.
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor


class Truth(NamedTuple):
    """Annotated objects, m of them.

    Attributes:
        boxes: floats (m, 4), as of `Found`.
        classes: integers (m,), from 0.
        crowd: bool (m,): the box holds a group of objects; it is neither found nor missed.
        difficult: bool (m,): VOC's "difficult"; neither found nor missed.
        areas: floats (m,), in pixels: what is small, medium or large.
    """

    boxes: Tensor
    classes: Tensor
    crowd: Tensor
    difficult: Tensor
    areas: Tensor

    @property
    def ignored(self) -> Tensor:
        """Which objects are neither found nor missed: bool (m,)."""
        return self.crowd | self.difficult


class Split(NamedTuple):
    """What was found and annotated in all images of a split, on the CPU, boxes, scores and areas in float64.

    Attributes:
        found: the detections of the first image, then those of the second, and so on.
        truth: the objects, likewise.
        found_in_each: integers (images,): how many detections each image has.
        objects_in_each: integers (images,): how many objects each image has.
    """

    found: Found
    truth: Truth
    found_in_each: Tensor
    objects_in_each: Tensor

    def of_class(self, number: int) -> "Split":
        """The detections and objects of a class, and the images that have any."""
        found, objects = ((classes == number).nonzero()[:, 0] for classes in (self.found.classes, self.truth.classes))
        found_in_each = _of_these_in_each(found, self.found_in_each)
        objects_in_each = _of_these_in_each(objects, self.objects_in_each)
        with_any = (found_in_each + objects_in_each) > 0
        return Split(
            Found(*(column[found] for column in self.found)),
            Truth(*(column[objects] for column in self.truth)),
            found_in_each[with_any],
            objects_in_each[with_any],
        )


def _of_these_in_each(these: Tensor, in_each: Tensor) -> Tensor:
    """How many of these places in a split's rows lie in each image, given how many rows each has."""
    images = torch.searchsorted(in_each.cumsum(0), these, right=True)
    return images.bincount(minlength=len(in_each))
