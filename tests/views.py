"""A view that keeps what it is shown, by kind."""

from collections.abc import Callable
from typing import Any

from bissl_ray.progress import Decoding, Event, Note, Report, StageEnded, Step, SweepProgress


class Seen:
    """Keeps events.

    Args:
        then: called after each event has been kept.
    """

    def __init__(self, then: Callable[[Event], None] = lambda event: None) -> None:
        self.rows: list[dict[str, Any]] = []
        self.steps: list[Step] = []
        self.decoded: list[Decoding] = []
        self.notes: list[str] = []
        self.ended: list[str] = []
        self.progress: list[SweepProgress] = []
        self._then = then

    def show(self, event: Event) -> None:
        match event:
            case Report(row):
                self.rows.append(dict(row))
            case Step():
                self.steps.append(event)
            case Decoding():
                self.decoded.append(event)
            case Note(line):
                self.notes.append(line)
            case StageEnded(stage):
                self.ended.append(stage)
            case SweepProgress():
                self.progress.append(event)
        self._then(event)
