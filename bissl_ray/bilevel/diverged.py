"""A loss that is no longer a number."""

import math
from collections.abc import Sequence


class DivergedError(RuntimeError):
    """A loss became NaN or infinite: the run can't go on.

    Attributes:
        loss: which loss, "lower", "upper" or "direct".
        step: its step, counted from 0 over the whole run.
        value: what it was, averaged over workers.
    """

    def __init__(self, loss: str, step: int, value: float) -> None:
        super().__init__(loss, step, value)
        self.loss = loss
        self.step = step
        self.value = value

    def __str__(self) -> str:
        """One line that says which loss, at which step, and what may help."""
        return (
            f"the {self.loss} loss is {self.value} at {self.loss} step {self.step}: "
            "try a smaller learning rate or a smaller clip_norm"
        )


def check_finite(loss: str, values: Sequence[float], first_step: int) -> None:
    """Raise DivergedError at the first loss that is not finite.

    Args:
        loss: which loss.
        values: its values over consecutive steps.
        first_step: the step of the first value.
    """
    for position, value in enumerate(values):
        if not math.isfinite(value):
            raise DivergedError(loss, first_step + position, value)
