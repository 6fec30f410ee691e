"""Which trials might as well have left the curvature out: the linear solve hardly changed their gradient."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from bissl_ray.leaderboard.numbers import relative

IDENTITY_BELOW: Final = 0.01
"""A trial acts as identity where in no alternation solving changed the gradient of θ_D by this share of it or more."""

IDENTITY_MARK: Final = "≡"
IDENTITY_NOTE: Final = f"{IDENTITY_MARK} acts as identity: solving changed the gradient of θ_D by less than 1%"

Row = Mapping[str, Any]


def largest_change(trials: Iterable[Row]) -> float | None:
    """The largest change over some trials; None where none has any: no BiSSL in them, or rows of an older version."""
    changes = [row["implicit_change"] for row in trials if row["implicit_change"] is not None]
    return max(changes, default=None)


def acts_as_identity(change: float | None) -> bool | None:
    """Whether so small a change is none; None where it is not known."""
    return None if change is None else change < IDENTITY_BELOW


def describe_change(trial: Row) -> str:
    """Say in words what solving changed in one trial; nothing where it is not known."""
    change, so_far = trial["implicit_change"], " so far" if trial["status"] == "running" else ""
    if change is None:
        return ""
    if trial.get("param_cg_iterations") == 0 or trial.get("param_solver") == "identity":
        setting = "cg_iterations 0" if trial.get("param_cg_iterations") == 0 else "solver identity"
        return f"acts as identity, by its own setting ({setting}): nothing was solved"
    if change == 0:
        return f"acts as identity{so_far}: solving never changed the gradient of θ_D"
    if acts_as_identity(change):
        return (
            f"acts as identity{so_far}: solving changed the gradient of θ_D by {relative(change)} at most, below "
            f"{relative(IDENTITY_BELOW)} in every alternation"
        )
    return f"changed the gradient of θ_D by up to {relative(change)} against the identity{so_far}"
