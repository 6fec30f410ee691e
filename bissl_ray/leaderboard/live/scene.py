"""What a picture shows, taken from a sweep in one go: it can be drawn again without asking the sweep anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bissl_ray.leaderboard.live.log import Entry, Log
from bissl_ray.leaderboard.live.running import Run, running
from bissl_ray.leaderboard.query import sort_rows
from bissl_ray.leaderboard.ranking import rank
from bissl_ray.progress import SweepProgress, Wishes
from bissl_ray.store.schema import Row

Order = Literal["score", "gain", "newest"]
"""By what the shown part of the board is sorted."""
ORDERS: Final[tuple[Order, ...]] = ("score", "gain", "newest")
_COLUMNS: Final[dict[Order, str]] = {"gain": "-gain", "newest": "-started_at"}


@dataclass(frozen=True)
class Scene:
    """A sweep at a moment.

    Attributes:
        progress: where it stands.
        rows: of the board, by rank.
        runs: trials under way.
        entries: of the log, oldest first.
        best: the best score so far, after each explore trial that ran to its end.
        at: the moment, by the monotonic clock.
    """

    progress: SweepProgress
    rows: Sequence[Row]
    runs: Sequence[Run]
    entries: Sequence[Entry]
    best: Sequence[float]
    at: float

    @classmethod
    def of(cls, progress: SweepProgress, log: Log, at: float) -> "Scene":
        """Look at a sweep, and enter into the log what is new."""
        trials = progress.trials()
        log.look(trials)
        return cls(progress, rank(trials), running(trials, progress.tracks()), list(log.entries), list(log.best), at)

    def sorted(self, order: Order) -> list[Row]:
        """The board's rows as a person wants them."""
        column = _COLUMNS.get(order)
        return list(self.rows) if column is None else sort_rows(self.rows, column)


def banner(wishes: Wishes, running: int) -> str | None:
    """What was asked for by a key or a signal, and what follows; None: nothing was."""
    if wishes.interrupted():
        return "stopping: what runs ends now, and goes on from where it has saved; Ctrl-C once more ends at once"
    their_end = f"{running} running go{'es' if running == 1 else ''} on to the end" if running else "nothing runs"
    if wishes.stop:
        return f"stopping: no new trial begins, {their_end}; then it ends, and can be resumed"
    return f"paused: no new trial begins, {their_end}; p goes on" if wishes.hold else None
