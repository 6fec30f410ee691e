"""A number that is no longer a number."""

import math
from collections.abc import Mapping, Sequence


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
