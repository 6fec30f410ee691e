"""How much a sweep may spend on exploring: wall-clock time, or GPU-hours."""

import re
from dataclasses import dataclass
from typing import Literal

from bissl_ray.errors import BadInputError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*(gpuh|[smhd])", re.IGNORECASE)


@dataclass(frozen=True)
class Budget:
    """A limit; once it is reached no further explore trial starts, and confirmation goes on with what there is.

    Attributes:
        seconds: of wall-clock time, or of GPU time.
        of: which.
    """

    seconds: float
    of: Literal["wall", "gpu"]

    def spent(self, elapsed: float, gpus_in_use: int) -> bool:
        """Whether the limit is reached.

        Args:
            elapsed: seconds since this run of the sweep began.
            gpus_in_use: GPUs that the sweep occupies.
        """
        return elapsed * (gpus_in_use if self.of == "gpu" else 1) >= self.seconds


def parse_budget(text: str) -> Budget:
    """Read "90m", "2h", "1.5d" (time) or "40gpuh" (GPU-hours).

    Raises:
        BadInputError: anything else.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        raise BadInputError(f"--budget {text}: expected a time such as 90m, 2h or 1d, or GPU-hours such as 40gpuh")
    number, unit = float(match[1]), match[2].lower()
    return Budget(number * 3600.0, "gpu") if unit == "gpuh" else Budget(number * _SECONDS[unit], "wall")
