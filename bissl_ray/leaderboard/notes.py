"""Lines under a table: what its mark means, and why some of its trials ended before their time."""

from collections.abc import Sequence
from typing import Any, Final

from bissl_ray.leaderboard.identity import IDENTITY_NOTE
from bissl_ray.leaderboard.unsolved import UNSOLVED_NOTE

Row = dict[str, Any]

_MOST_REASONS: Final = 3
_MOST_NAMES: Final = 6
_RANK_ALONE: Final = "ASHA"
"""How the reason of a trial begins that was stopped for being behind others: its score says as much."""


def marks_explained(rows: Sequence[Row]) -> list[str]:
    """What the marks of these rows mean; nothing where there are none."""
    notes = {"acts_as_identity": IDENTITY_NOTE, "unsolved": UNSOLVED_NOTE}
    return [note for mark, note in notes.items() if any(row[mark] for row in rows)]


def ended_early(rows: Sequence[Row]) -> list[str]:
    """Why trials failed or ended themselves, a line for each reason, with the trials that share it.

    Of many reasons, the first few, failures before all; the advice is left to `show`.
    """
    trials: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: bool(row["status"] != "failed")):
        reason = row["status_reason"]
        if row["status"] in ("failed", "pruned") and reason is not None and not reason.startswith(_RANK_ALONE):
            trials.setdefault(f"{row['status']}: {reason.partition('; ')[0]}", []).append(row["trial"])
    given = [f"{_some(names)} {reason}" for reason, names in trials.items()]
    more = sum(map(len, trials.values())) - sum(map(len, list(trials.values())[:_MOST_REASONS]))
    rest = [f"{more} more ended early; the reason of each: bissl-ray show TRIAL"] if more > 0 else []
    return given[:_MOST_REASONS] + rest


def _some(names: Sequence[str]) -> str:
    """Name the first few, and count the rest."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
