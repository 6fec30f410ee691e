"""Measurements of steps: brought to the host, averaged, and the refusal to go on from what is not finite."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bissl_ray.parallel import Group, mean_over_workers


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


class DivergedError(RuntimeError):
    """Something became NaN or infinite: the run can't go on.

    Attributes:
        quantity: what it is, such as "lower loss" or "upper gradient norm".
        where: when it was seen, such as "lower step 12"; steps are counted from 0 over the whole run.
        value: what it was, averaged over workers.
    """

    def __init__(self, quantity: str, where: str, value: float) -> None:
        super().__init__(quantity, where, value)
        self.quantity = quantity
        self.where = where
        self.value = value

    def __str__(self) -> str:
        """One line that says what, when, and what may help."""
        return (
            f"the {self.quantity} is {self.value} at {self.where}: try a smaller learning rate or a smaller clip_norm"
        )


def check_finite(level: str, first_step: int, measured: Mapping[str, Sequence[float]]) -> None:
    """Raise DivergedError at the first step that has a value which is not finite.

    Args:
        level: whose steps, "lower" or "upper".
        first_step: the step of the first value of each.
        measured: values over consecutive steps by what they are; of one step, the first named is raised.
    """
    for position, values in enumerate(zip(*measured.values(), strict=True)):
        for quantity, value in zip(measured, values, strict=True):
            if not math.isfinite(value):
                raise DivergedError(quantity, f"{level} step {first_step + position}", value)
