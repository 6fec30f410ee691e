"""How a run tells whoever follows it where it is, and learns that it should stop."""

import time
from dataclasses import dataclass
from typing import Literal, Protocol

_PAUSE_S = 0.25


class TrialStoppedError(Exception):
    """The run was told to stop: by the answer to a report, alike on every worker, or by its watch, on the chief."""


@dataclass(frozen=True)
class Advance:
    """Where a stage is.

    Attributes:
        stage: its name in the pipeline; where scores are all that is wanted, whose images are looked at; "decoding"
            before the first of them, where images are decoded into the cache.
        done: how many lie behind.
        total: of how many.
        unit: what is counted; epochs are counted in steps.
        per_epoch: steps in an epoch; 1 where something else is counted.
        loss: of the last step, on the chief's images; None where there is none to tell.
    """

    stage: str
    done: int
    total: int
    unit: Literal["epoch", "alternation", "batch", "image"]
    per_epoch: int = 1
    loss: float | None = None


class Watch(Protocol):
    """Follows a run on its chief. What it is told is thrown away if nobody looks, so it says when it wants to know."""

    def due(self) -> bool:
        """Whether it wants to be told now; asked after every step."""

    def advanced(self, advance: Advance) -> None:
        """Take in where the run is."""

    def stop_asked(self) -> bool:
        """Whether the run shall save where it is and stop."""


class Unwatched:
    """Nobody follows: a sweep's trials are followed, and stopped, by their reports."""

    def due(self) -> bool:
        """Never."""
        return False

    def advanced(self, advance: Advance) -> None:
        """Never called."""

    def stop_asked(self) -> bool:
        """Never."""
        return False


class Pause:
    """Says a few times a second that it is time."""

    def __init__(self) -> None:
        self._next = 0.0

    def over(self) -> bool:
        """Whether it is time; the next pause then begins."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _PAUSE_S
        return True
