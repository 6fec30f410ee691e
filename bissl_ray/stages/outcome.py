"""What a stage tells its caller: how it goes, and how it ended."""

from dataclasses import dataclass
from typing import Any, Protocol

from bissl_ray.stages.request import StageRequest
from bissl_ray.training.watch import Advance


class View(Protocol):
    """What shows how a stage goes."""

    def advanced(self, advance: Advance) -> None:
        """Show where it is."""

    def reported(self, row: dict[str, Any]) -> None:
        """Show what was measured after an epoch or an alternation."""

    def note(self, line: str) -> None:
        """Show a line that stays."""


@dataclass(frozen=True)
class StageOutcome:
    """How a call of `run_stage` ended.

    Attributes:
        request: what was asked for.
        storage: where its folder is, absolute.
        finished: whether it ran to its end; False after an interruption.
        result: what it came to: metrics, checkpoint, seconds; empty after an interruption.
        before: whether it had finished before this call, which then did nothing.
        saved: after an interruption, whether it saved where it was then.
    """

    request: StageRequest
    storage: str
    finished: bool
    result: dict[str, Any]
    before: bool = False
    saved: bool = True
