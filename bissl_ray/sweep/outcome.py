"""What a sweep tells its caller: how it stands, while it runs, and how it ended."""

from dataclasses import dataclass
from typing import Protocol

from bissl_ray.leaderboard.live import SweepProgress


class View(Protocol):
    """What shows a sweep's progress."""

    def update(self, progress: SweepProgress) -> None:
        """Show how the sweep stands."""
        ...

    def note(self, line: str) -> None:
        """Show a line that stays."""
        ...


@dataclass(frozen=True)
class SweepOutcome:
    """How a call of `run_sweep` or `resume_sweep` ended.

    Attributes:
        name: the sweep's name, for `resume_sweep` and `load_trials`.
        storage: where its results are.
        finished: whether everything that was asked for has run; False after an interruption.
        completed: how many trials ran to their end, in all.
        problem: what a person must see to, in one line; None if all is well.
    """

    name: str
    storage: str
    finished: bool
    completed: int
    problem: str | None = None
