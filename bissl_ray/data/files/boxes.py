"""Annotated boxes of many images, brought to what a detector is trained on: within their frames, and of some area."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bissl_ray.data.objects import Objects, ObjectsOfImages


class Annotated(NamedTuple):
    """Annotations as files give them, n of them, in any order.

    Attributes:
        image: int64 (n,), which image each belongs to.
        corners: float64 (n, 4): left, top, right, bottom in pixels; NaN where a number is missing.
        classes: int64 (n,), from 0.
        crowd: bool (n,).
        difficult: bool (n,).
        areas: float64 (n,), pixels; NaN where the file has none: that of the box is taken.
        place: where the annotation of a number stands, for a person: file and id.
    """

    image: NDArray[np.int64]
    corners: NDArray[np.float64]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]
    areas: NDArray[np.float64]
    place: Callable[[int], str]


class Fitted(NamedTuple):
    """What became of annotations.

    Attributes:
        objects: of each image.
        problems: a line for each that can't be.
        without_area: a line for each box of no width or height, which is left out.
    """

    objects: ObjectsOfImages
    problems: list[str]
    without_area: list[str]


def fitted(annotated: Annotated, sides: NDArray[np.int64], ids: Sequence[str]) -> Fitted:
    """Cut boxes at the frames of their images, and find those that can't be.

    Args:
        annotated: the annotations.
        sides: int64 (images, 2), height and width of each, above 0.
        ids: what each image is called, for messages.
    """
    height, width = sides[annotated.image].T.astype(np.float64)
    left, top, right, bottom = annotated.corners.T
    frame = np.stack([width, height, width, height], axis=1)
    with np.errstate(invalid="ignore"):
        broken = ~np.isfinite(annotated.corners).all(axis=1)
        negative = ~broken & ((right < left) | (bottom < top))
        flat = ~broken & ~negative & ((right == left) | (bottom == top))
        outside = ~broken & ~negative & ~flat & ((right <= 0) | (bottom <= 0) | (left >= width) | (top >= height))
    problems: list[tuple[int, str]] = []
    for which, what in (
        (broken, "expected four finite numbers"),
        (negative, "its right or lower side comes before the other one; expected a positive width and height"),
        (outside, "it lies wholly outside of its image"),
    ):
        problems += [(int(n), _line(annotated, int(n), frame, what)) for n in np.flatnonzero(which)]
    kept = np.flatnonzero(~(broken | negative | flat | outside))
    kept = kept[np.argsort(annotated.image[kept], kind="stable")]
    boxes = np.clip(annotated.corners[kept], 0, frame[kept])
    own = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    given = annotated.areas[kept]
    areas = np.where(np.isfinite(given) & (given > 0), given, own)
    objects = Objects(
        boxes / frame[kept], annotated.classes[kept], annotated.crowd[kept], annotated.difficult[kept], areas, 0, 0, ""
    )
    counts = np.bincount(annotated.image[kept], minlength=len(sides))
    return Fitted(
        ObjectsOfImages.of_arrays(counts, objects, sides, ids),
        [line for _, line in sorted(problems)],
        [_line(annotated, int(n), frame, "no width or no height: left out") for n in np.flatnonzero(flat)],
    )


def _line(annotated: Annotated, number: int, frame: NDArray[np.float64], what: str) -> str:
    corners = ", ".join("missing" if np.isnan(corner) else f"{corner:g}" for corner in annotated.corners[number])
    width, height = frame[number, :2].astype(int).tolist()
    return f"{annotated.place(number)}: box {corners} (left, top, right, bottom) in {width} x {height} pixels: {what}"
