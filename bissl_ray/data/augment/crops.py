"""Crops of a batch in their own sizes, put together where they are cut, with all that resizing them will need."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bissl_ray.data.augment.draws import Box
from bissl_ray.data.augment.weights import Axis, axis

_MOST_PIXELS: Final = 1 << 20
"""Of a group whose rows are resized, each of about 30 bytes meanwhile. A crop that has more is by itself."""
_LIKE: Final = 2
"""How many times as high as its lowest a group's highest crop may be: all are filled up to that."""


class Crop(NamedTuple):
    """A part of an image, as large as it is there.

    Attributes:
        pixels: uint8 (height, width, 3).
        mirrored: whether it is, when it is resized.
    """

    pixels: Tensor
    mirrored: bool

    @classmethod
    def of(cls, image: Tensor, box: Box, mirrored: bool) -> "Crop":
        """Cut it out of uint8 (3, H, W)."""
        part = image[:, box.top : box.top + box.height, box.left : box.left + box.width]
        return cls(part.permute(1, 2, 0).contiguous(), mirrored)


class Group(NamedTuple):
    """Crops that are resized together, and where what belongs to them lies in a batch's tensors.

    Attributes:
        crops: which.
        pixels: theirs.
        weights: along rows and along columns.
        rows: of the highest.
    """

    crops: slice
    pixels: slice
    weights: tuple[slice, slice]
    rows: int


class Crops(NamedTuple):
    """Crops of a batch, the lowest first; the tensors go to the device, the groups stay on the host.

    Attributes:
        pixels: one crop after another, uint8 (pixels, 3).
        facts: each crop's place in the batch, first pixel within its group, height and width, and the precisions of its
            weights along rows and along columns, int64 (6, n).
        first: see `weights.Axis`, along rows and along columns, int32 (2, n, S).
        weights: of each group along rows, then along columns, (taps, crops, S) each, int16.
        groups: one after another.
    """

    pixels: Tensor
    facts: Tensor
    first: Tensor
    weights: Tensor
    groups: list[Group]

    @classmethod
    def of(cls, crops: Sequence[Crop], side: int) -> "Crops":
        """Put crops together, at least one, for resizing to S.

        Args:
            crops: in the order that they have in the batch.
            side: S, pixels.
        """
        order = sorted(range(len(crops)), key=lambda place: crops[place].pixels.shape[0])
        crops = [crops[place] for place in order]
        heights, widths = ([crop.pixels.shape[dimension] for crop in crops] for dimension in (0, 1))
        along_rows = [axis(crop.pixels.shape[1], side) for crop in crops]
        along_rows = [each.mirrored() if crop.mirrored else each for each, crop in zip(along_rows, crops, strict=True)]
        along = (along_rows, [axis(height, side) for height in heights])
        ends = [0, *accumulate(height * width for height, width in zip(heights, widths, strict=True))]
        groups, weights, offsets = [], _Weights([]), []
        for begin, end in _alike(heights, side):
            both = (weights.add(along[0][begin:end]), weights.add(along[1][begin:end]))
            groups.append(Group(slice(begin, end), slice(ends[begin], ends[end]), both, heights[end - 1]))
            offsets += [first - ends[begin] for first in ends[begin:end]]
        precisions = ([each.precision for each in axes] for axes in along)
        return cls(
            torch.cat([crop.pixels.view(-1, 3) for crop in crops]),
            torch.tensor([order, offsets, heights, widths, *precisions]),
            torch.from_numpy(np.array([[each.first for each in axes] for axes in along])),
            torch.from_numpy(np.concatenate(weights.parts)),
            groups,
        )


@dataclass
class _Weights:
    """Those of a batch, one array after another."""

    parts: list[NDArray[np.int16]]
    end: int = 0

    def add(self, axes: Sequence[Axis]) -> slice:
        """Put those of some crops side by side, (taps, crops, S), and say where they lie."""
        taps = max(len(each.weights) for each in axes)
        found = np.zeros((taps, len(axes), axes[0].weights.shape[1]), np.int16)
        for number, each in enumerate(axes):
            found[: len(each.weights), number] = each.weights
        self.parts.append(found.ravel())
        begin, self.end = self.end, self.end + found.size
        return slice(begin, self.end)


def _alike(heights: Sequence[int], side: int) -> Iterator[tuple[int, int]]:
    """Cut crops, the lowest first, into groups: the first of each, and the one after its last."""
    begin = 0
    for end, height in enumerate(heights):
        if height > _LIKE * heights[begin] or (end + 1 - begin) * height * side > _MOST_PIXELS:
            if begin < end:
                yield begin, end
            begin = end
    yield begin, len(heights)
