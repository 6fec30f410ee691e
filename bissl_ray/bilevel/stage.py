"""What the lower and the upper stage have in common: batches in, losses checked."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from bissl_ray.bilevel.diverged import check_finite
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


def checked_losses(loss: str, own: Sequence[Tensor], first_step: int, group: Group) -> list[float]:
    """This stage's losses, averaged over workers, in one synchronisation with the device.

    Args:
        loss: which loss, for the error.
        own: this worker's scalars, one per step.
        first_step: the step of the first.
        group: the workers.

    Raises:
        DivergedError: one is not finite, on whichever worker; raised on all of them.
    """
    values: list[float] = mean_over_workers([torch.stack(list(own))], group)[0].tolist()
    check_finite(loss, values, first_step)
    return values


def mean(numbers: Sequence[float]) -> float:
    """The mean of at least one number."""
    return sum(numbers) / len(numbers)
