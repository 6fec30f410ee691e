"""Crops of a batch resized at once, by torch's operations, on any device: the bits of torch's CPU kernel for uint8.

That kernel sums whole numbers, so its bits don't depend on an order or a machine: rows first, then columns, each sum
rounded and cut off to 0 .. 255. Crops travel in their own sizes, and are carried out in groups of about one height, which
bounds the memory. What sizes there are is known where they are cut: nothing waits for the device.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bissl_ray.data.augment.weights import Axis, axis

_MOST_PIXELS: Final = 1 << 22
"""Of a group after its rows were resized, each of about 35 bytes while they are: one crop may have more."""
_LIKE: Final = 2
"""How many times as high as its lowest a group's highest crop may be: all are filled up to that."""


class Crop(NamedTuple):
    """A part of an image as it travels.

    Attributes:
        pixels: uint8 (height, width, 3).
        mirrored: whether it is, when it is resized.
    """

    pixels: Tensor
    mirrored: bool


class _Group(NamedTuple):
    """Which crops are resized together, and where in a batch's tensors they are.

    Attributes:
        crops: first and last.
        pixels: theirs.
        rows: of the highest.
        taps: along rows and along columns.
        weights: along rows and along columns.
    """

    crops: slice
    pixels: slice
    rows: int
    taps: tuple[int, int]
    weights: tuple[slice, slice]


class Crops(NamedTuple):
    """Crops of a batch, those of a group one after another; its tensors go to the device, the rest stays on the host.

    Attributes:
        pixels: of all crops, uint8 (pixels, 3).
        facts: a row each of place in the batch, first pixel within its group, height, width and the precision of the
            weights along rows and columns, int64 (6, n).
        first: see `Axis`, along rows and columns, int32 (2, n, S).
        weights: one group after another those of its rows (taps, crops, S), then those of its columns, int16.
        groups: in that order.
    """

    pixels: Tensor
    facts: Tensor
    first: Tensor
    weights: Tensor
    groups: list[_Group]

    @classmethod
    def of(cls, crops: Sequence[Crop], side: int) -> "Crops":
        """Put crops together for resizing to S.

        Args:
            crops: at least one.
            side: S, pixels.
        """
        order = sorted(range(len(crops)), key=lambda i: crops[i].pixels.shape[0])
        crops = [crops[i] for i in order]
        sizes = np.array([crop.pixels.shape[:2] for crop in crops], np.int64)
        columns, rows = ([axis(int(length), side) for length in lengths] for lengths in sizes.T)
        for i, crop in enumerate(crops):
            if crop.mirrored:
                rows[i] = Axis(rows[i].first[::-1], rows[i].weights[:, ::-1], rows[i].precision)
        ends = [0, *accumulate(sizes.prod(1).tolist())]
        groups, weights, used, offsets = [], [], 0, []
        for begin, end in _like_ones(sizes[:, 0].tolist(), side):
            both = [_side_by_side(axes[begin:end]) for axes in (rows, columns)]
            middle, last = used + both[0].size, used + both[0].size + both[1].size
            groups.append(
                _Group(
                    slice(begin, end),
                    slice(ends[begin], ends[end]),
                    int(sizes[end - 1, 0]),
                    (len(both[0]), len(both[1])),
                    (slice(used, middle), slice(middle, last)),
                )
            )
            used = last
            weights += [part.ravel() for part in both]
            offsets += [first - ends[begin] for first in ends[begin:end]]
        precisions = [[each.precision for each in axes] for axes in (rows, columns)]
        return cls(
            torch.cat([crop.pixels.reshape(-1, 3) for crop in crops]),
            torch.from_numpy(np.array([order, offsets, *sizes.T, *precisions], np.int64)),
            torch.from_numpy(np.array([[each.first for each in axes] for axes in (rows, columns)])),
            torch.from_numpy(np.concatenate(weights)),
            groups,
        )


def _like_ones(heights: Sequence[int], side: int) -> Iterator[tuple[int, int]]:
    """Cut crops in the order of their heights into groups: the first of each, and the one after its last."""
    begin = 0
    for end in range(1, len(heights) + 1):
        if end == len(heights) or (
            heights[end] > _LIKE * heights[begin] or (end + 1 - begin) * heights[end] * side > _MOST_PIXELS
        ):
            yield begin, end
            begin = end


def _side_by_side(axes: Sequence[Axis]) -> NDArray[np.int16]:
    """The weights of some crops along an axis, int16 (taps, crops, S)."""
    taps = max(len(each.weights) for each in axes)
    found = np.zeros((taps, len(axes), axes[0].weights.shape[1]), np.int16)
    for i, each in enumerate(axes):
        found[: len(each.weights), i] = each.weights
    return found


def resized(crops: Crops) -> Tensor:
    """Resize and mirror, where the tensors are: uint8 (n, 3, S, S), in the order in which the crops were given."""
    _, count, side = crops.first.shape
    found = torch.empty((count, side, side, 3), dtype=torch.uint8, device=crops.pixels.device)
    for group in crops.groups:
        found[crops.facts[0, group.crops]] = _group_resized(crops, group)
    return found.permute(0, 3, 1, 2).contiguous()


def _group_resized(crops: Crops, group: _Group) -> Tensor:
    _, offset, height, width, *precisions = crops.facts[:, group.crops].unbind(0)
    first_column, first_row = crops.first[:, group.crops].unbind(0)
    count, side = first_column.shape
    of_rows, of_columns = (
        crops.weights[where].view(taps, count, side) for where, taps in zip(group.weights, group.taps, strict=True)
    )
    # Below a crop its last row is repeated: no weight falls on those.
    lines = torch.arange(group.rows, device=offset.device).minimum(height[:, None] - 1)
    first = (offset[:, None] + lines * width[:, None])[:, :, None] + first_column[:, None, :]
    narrow = _summed(crops.pixels[group.pixels], first, of_rows[:, :, None, :], precisions[0][:, None, None])
    first = group.rows * torch.arange(count, device=offset.device)[:, None] + first_row
    whole = _summed(narrow.view(count * group.rows, side * 3), first, of_columns, precisions[1][:, None])
    return whole.view(count, side, side, 3)


def _summed(lines: Tensor, first: Tensor, weights: Tensor, precision: Tensor) -> Tensor:
    """Weighted sums of lines that follow each other.

    Args:
        lines: uint8 (lines, k).
        first: of each sum, int64 (...).
        weights: int16 (taps, ...).
        precision: of the weights, int64 (...).

    Returns:
        uint8 (..., k).
    """
    # So that there is a line for weights of nothing after the last one.
    padded, index = F.pad(lines, (0, 0, 0, len(weights))), first.flatten()
    precision = precision[..., None].int()
    total = torch.empty((*first.shape, lines.shape[1]), dtype=torch.int32, device=lines.device)
    total.copy_(1 << (precision - 1))
    for tap, weight in enumerate(weights.int().unbind(0)):
        total += padded[tap:].index_select(0, index).view_as(total) * weight[..., None]
    return (total >> precision).clamp_(0, 255).to(torch.uint8)
