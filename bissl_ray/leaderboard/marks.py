"""Marks beside a trial (on the front, acts as the identity, its solves were in vain), and what each of them means."""

from collections.abc import Iterable, Sequence
from typing import Final

from bissl_ray.leaderboard.numbers import relative
from bissl_ray.store.schema import Row
from bissl_ray.words import PARAMETER_PREFIX, Status

IDENTITY_BELOW: Final = 0.01
"""A trial acts as identity where in no alternation solving changed the gradient of θ_D by this share of it or more."""

IDENTITY_MARK: Final = "≡"
IDENTITY_NOTE: Final = f"{IDENTITY_MARK} acts as identity: solving changed the gradient of θ_D by less than 1%"

UNSOLVED_FROM: Final = 1.0
"""A mean relative residual from here on is no better than that of no solution."""

UNSOLVED_MARK: Final = "≢"
UNSOLVED_NOTE: Final = (
    f"{UNSOLVED_MARK} unsolved: the mean relative residual of its solves is 1 or more, no better than no solution; "
    "more damping or solver minres may help"
)

FRONT_MARK: Final = "◆"
FRONT_NOTE: Final = f"{FRONT_MARK} on the front: no other explored trial has as high a score in as little time"

TIE_MARK: Final = "≈"
TIE_NOTE: Final = (
    f"{TIE_MARK} its seeds don't tell it from the best of its sweep (95%, each by itself; the best was chosen on these "
    "seeds, which flatters it); 'seeds to tell': about so many would, if mean and spread stay as they are"
)

_MOST_REASONS: Final = 3
_MOST_NAMES: Final = 6
_RANK_ALONE: Final = "ASHA"
"""How the reason of a trial begins that was stopped for being behind others: its score says as much."""


def largest_change(trials: Iterable[Row]) -> float | None:
    """The largest change over some trials; None where none has any: no BiSSL in them, or rows of an older version."""
    changes = [row["implicit_change"] for row in trials if row["implicit_change"] is not None]
    return max(changes, default=None)


def acts_as_identity(change: float | None) -> bool | None:
    """Whether so small a change is none; None where it is not known."""
    return None if change is None else change < IDENTITY_BELOW


def unsolved(trial: Row) -> bool | None:
    """Whether a trial's solves were in vain on the whole; None where it is not known or not over."""
    residual = trial["cg_residual"]
    over = trial["status"] not in (Status.RUNNING, Status.FAILED)
    return residual >= UNSOLVED_FROM if over and residual is not None else None


def describe_change(trial: Row) -> str:
    """Say in words what solving changed in one trial; nothing where it is not known."""
    change, so_far = trial["implicit_change"], " so far" if trial["status"] == Status.RUNNING else ""
    if change is None:
        return ""
    no_iterations = trial.get(f"{PARAMETER_PREFIX}cg_iterations") == 0
    if no_iterations or trial.get(f"{PARAMETER_PREFIX}solver") == "identity":
        setting = "cg_iterations 0" if no_iterations else "solver identity"
        return f"acts as identity, by its own setting ({setting}): nothing was solved"
    if change == 0:
        return f"acts as identity{so_far}: solving never changed the gradient of θ_D"
    if acts_as_identity(change):
        return (
            f"acts as identity{so_far}: solving changed the gradient of θ_D by {relative(change)} at most, below "
            f"{relative(IDENTITY_BELOW)} in every alternation"
        )
    return f"changed the gradient of θ_D by up to {relative(change)} against the identity{so_far}"


def marks_explained(rows: Sequence[Row]) -> list[str]:
    """What the marks of these rows mean; nothing where there are none."""
    notes = {"on_front": FRONT_NOTE, "tied": TIE_NOTE, "acts_as_identity": IDENTITY_NOTE, "unsolved": UNSOLVED_NOTE}
    return [note for mark, note in notes.items() if any(row[mark] for row in rows)]


def ended_early(rows: Sequence[Row]) -> list[str]:
    """Why trials failed or ended themselves, a line for each reason, with the trials that share it.

    Of many reasons, the first few, failures before all; the advice is left to `show`.
    """
    trials: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: bool(row["status"] != Status.FAILED)):
        status, reason = row["status"], row["status_reason"]
        if status in (Status.FAILED, Status.PRUNED) and reason is not None and not reason.startswith(_RANK_ALONE):
            trials.setdefault(f"{status}: {reason.partition('; ')[0]}", []).append(row["trial"])
    given = [f"{_some(names)} {reason}" for reason, names in trials.items()]
    more = sum(map(len, trials.values())) - sum(map(len, list(trials.values())[:_MOST_REASONS]))
    rest = [f"{more} more ended early; the reason of each: bissl-ray show TRIAL"] if more > 0 else []
    return given[:_MOST_REASONS] + rest


def _some(names: Sequence[str]) -> str:
    """Name the first few, and count the rest."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
