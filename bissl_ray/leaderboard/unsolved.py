"""Which trials left their linear solves unsolved, so that their implicit gradients mean little."""

from collections.abc import Mapping
from typing import Any, Final

UNSOLVED_FROM: Final = 1.0
"""A mean relative residual from here on is no better than that of no solution."""

UNSOLVED_MARK: Final = "≢"
UNSOLVED_NOTE: Final = (
    f"{UNSOLVED_MARK} unsolved: the mean relative residual of its solves is 1 or more, no better than no solution; "
    "more damping or solver minres may help"
)


def unsolved(trial: Mapping[str, Any]) -> bool | None:
    """Whether a trial's solves were in vain on the whole; None where it is not known or not over."""
    residual = trial["cg_residual"]
    return None if residual is None or trial["status"] in ("running", "failed") else residual >= UNSOLVED_FROM
