"""Crops resized: one by torch's CPU kernel for uint8, or a batch by torch's operations on any device, of the same bits.

The kernel sums whole numbers, so no bit depends on an order or a machine: first along rows, then along columns, each
sum rounded and cut off to 0 .. 255. What sizes there are is known where crops are cut: nothing waits for the device.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from bissl_ray.data.augment.crops import Crops, Group
from bissl_ray.data.augment.draws import Box


def resized_crop(image: Tensor, box: Box, mirrored: bool, side: int) -> Tensor:
    """A part of an image at the size S that is asked for, on the CPU: uint8 (3, S, S), contiguous, a copy."""
    part: Tensor = functional.resized_crop_image(
        image, *box, size=[side, side], interpolation=InterpolationMode.BICUBIC
    )
    # A part of that very size is the image's own memory, which nothing may write to.
    return (part.flip(-1) if mirrored else part).clone(memory_format=torch.contiguous_format)


def resized(crops: Crops) -> Tensor:
    """Resize and mirror, where the tensors are: uint8 (n, 3, S, S), in the order in which the crops were given."""
    _, count, side = crops.first.shape
    found = torch.empty((count, side, side, 3), dtype=torch.uint8, device=crops.pixels.device)
    for group in crops.groups:
        found[crops.facts[0, group.crops]] = _group_resized(crops, group)
    return found.permute(0, 3, 1, 2).contiguous()


def _group_resized(crops: Crops, group: Group) -> Tensor:
    _, offset, height, width, *precisions = crops.facts[:, group.crops].unbind(0)
    first_column, first_row = crops.first[:, group.crops].unbind(0)
    count, side = first_column.shape
    of_rows, of_columns = (crops.weights[where].int().view(-1, count, side, 1) for where in group.weights)
    # Below a crop its last row is repeated: no weight falls on those.
    lines = torch.arange(group.rows, device=offset.device).minimum(height[:, None] - 1)
    first = (offset[:, None] + lines * width[:, None])[:, :, None] + first_column[:, None, :]
    # A weight for each colour, for products of vectors are faster than of many threes.
    of_rows = of_rows[:, :, None].repeat(1, 1, 1, 1, 3)
    narrow = _summed(crops.pixels[group.pixels], first, of_rows, precisions[0][:, None, None])
    first = group.rows * torch.arange(count, device=offset.device)[:, None] + first_row
    whole = _summed(narrow.view(count * group.rows, side * 3), first, of_columns, precisions[1][:, None])
    return whole.view(count, side, side, 3)


def _summed(lines: Tensor, first: Tensor, weights: Tensor, precision: Tensor) -> Tensor:
    """Weighted sums of lines that follow each other.

    Args:
        lines: uint8 (lines, k).
        first: of each sum, int64 (...).
        weights: int32 (taps, ..., k), or one for all k.
        precision: of the weights, int64 (...).

    Returns:
        uint8 (..., k).
    """
    # So that there is a line for weights of nothing after the last one.
    padded, index = F.pad(lines, (0, 0, 0, len(weights))), first.flatten()
    precision = precision[..., None].int()
    total = torch.empty((*first.shape, lines.shape[1]), dtype=torch.int32, device=lines.device)
    total.copy_(1 << (precision - 1))
    for tap, weight in enumerate(weights.unbind(0)):
        total.addcmul_(padded[tap:].index_select(0, index).view_as(total), weight)
    return total.bitwise_right_shift_(precision).clamp_(0, 255).to(torch.uint8)
