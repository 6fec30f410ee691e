"""What the lower and the upper stage have in common: batches in, measurements out."""

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from bissl_ray.parallel import Group, mean_over_workers

Batch = TypeVar("Batch")


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that want a gradient, in the module's order."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def next_batch(batches: Iterator[Batch], level: str) -> Batch:
    """The next batch; raises ValueError, not StopIteration, where there is none."""
    try:
        return next(batches)
    except StopIteration:
        raise ValueError(f"the {level} batches ran out: give an iterator that never ends") from None


def on_host(measured: Sequence[Sequence[Tensor]], group: Group) -> list[list[float]]:
    """Scalars of several kinds, averaged over workers, in one synchronisation with the device.

    All workers get the same numbers, so that they decide alike by them.

    Args:
        measured: for each kind, this worker's scalars, one per step, equally many of each.
        group: the workers.
    """
    table = torch.stack([torch.stack([scalar.detach() for scalar in scalars]) for scalars in measured])
    numbers: list[list[float]] = mean_over_workers([table], group)[0].tolist()
    return numbers


def mean(numbers: Sequence[float]) -> float:
    """The mean of at least one number."""
    return sum(numbers) / len(numbers)


def mean_where_defined(numbers: Sequence[float]) -> float | None:
    """The mean of those that are finite; None where none is."""
    defined = [number for number in numbers if math.isfinite(number)]
    return mean(defined) if defined else None
