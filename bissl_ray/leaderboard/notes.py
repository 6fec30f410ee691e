"""Lines under a table: what its mark means, and why some of its trials ended before their time."""

from collections.abc import Sequence
from typing import Any, Final

from bissl_ray.leaderboard.identity import IDENTITY_NOTE

Row = dict[str, Any]

_MOST_REASONS: Final = 3
_RANK_ALONE: Final = "ASHA"
"""How the reason of a trial begins that was stopped for being behind others: its score says as much."""


def marks_explained(rows: Sequence[Row]) -> list[str]:
    """What the marks of these rows mean; nothing where there are none."""
    return [IDENTITY_NOTE] if any(row["acts_as_identity"] for row in rows) else []


def ended_early(rows: Sequence[Row]) -> list[str]:
    """Why trials failed or ended themselves, a line each; of many, the first few. The advice is left to `show`."""
    reasons = [
        f"{row['trial']} {row['status']}: {row['status_reason'].partition('; ')[0]}"
        for row in rows
        if row["status"] in ("failed", "pruned")
        and row["status_reason"] is not None
        and not row["status_reason"].startswith(_RANK_ALONE)
    ]
    more = len(reasons) - _MOST_REASONS
    rest = [f"{more} more ended early; the reason of each: bissl-ray show TRIAL"] if more > 0 else []
    return reasons[:_MOST_REASONS] + rest
