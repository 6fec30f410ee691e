"""Run stages in this process, on the digits and with settings so small that each takes a second or two."""

import os
import signal
from pathlib import Path
from typing import Any

from bissl_ray.stages.outcome import StageOutcome
from bissl_ray.stages.prepare import StageFlags, prepare_stage
from bissl_ray.stages.run import run_stage
from bissl_ray.training.watch import Advance
from tests.cli.command import tiny_space


class Seen:
    """Keeps what a stage shows; presses Ctrl-C, as a person does, when so many reports have been seen."""

    def __init__(self, press_after: int | None = None):
        self.rows: list[dict[str, Any]] = []
        self.advances: list[Advance] = []
        self.notes: list[str] = []
        self._press_after = press_after

    def advanced(self, advance: Advance) -> None:
        self.advances.append(advance)

    def reported(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        if len(self.rows) == self._press_after:
            os.kill(os.getpid(), signal.SIGINT)

    def note(self, line: str) -> None:
        self.notes.append(line)


def run(
    folder: Path,
    stage: Any,
    name: str | None = None,
    *assignments: str,
    view: Seen | None = None,
    what: dict[str, Any] | None = None,
    **flags: Any,
) -> StageOutcome:
    """Run a stage of the tiny space; `what` goes to `prepare_stage`, other keywords to `StageFlags`."""
    asked = {"space": str(tiny_space(folder)), "storage": str(folder / "runs"), "name": name or stage, **flags}
    if stage == "evaluate":
        del asked["space"]
    request, _ = prepare_stage(stage, StageFlags(assignments=assignments, **asked), **(what or {}))
    return run_stage(request, asked["storage"], None, view or Seen())


def file(folder: Path, name: str) -> str:
    """The model that a run wrote."""
    return str(next((folder / "runs" / "stages" / name).glob("*ed.pt")))
