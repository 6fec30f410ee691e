"""Run stages in this process, on the digits and with settings so small that each takes a second or two."""

import os
import signal
from pathlib import Path
from typing import Any

from bissl_ray.config.options import StageOptions
from bissl_ray.progress import Event, Report
from bissl_ray.stages.prepare import prepare_stage
from bissl_ray.stages.run import StageOutcome, run_stage
from tests.cli.command import tiny_space
from tests.views import Seen


class Impatient(Seen):
    """Presses Ctrl-C, as a person does, when so many reports have been seen."""

    def __init__(self, press_after: int | None = None):
        super().__init__(self._press)
        self._press_after = press_after

    def _press(self, event: Event) -> None:
        if isinstance(event, Report) and len(self.rows) == self._press_after:
            os.kill(os.getpid(), signal.SIGINT)


def run(
    folder: Path,
    stage: Any,
    name: str | None = None,
    *assignments: str,
    view: Seen | None = None,
    what: dict[str, Any] | None = None,
    **flags: Any,
) -> StageOutcome:
    """Run a stage of the tiny space; `what` goes to `prepare_stage`, other keywords to `StageOptions`."""
    asked = {"space": str(tiny_space(folder)), "storage": str(folder / "runs"), "name": name or stage, **flags}
    if stage == "evaluate":
        del asked["space"]
    request, _ = prepare_stage(stage, StageOptions(assignments=assignments, **asked), **(what or {}))
    return run_stage(request, asked["storage"], None, view or Seen())


def file(folder: Path, name: str) -> str:
    """The model that a run wrote."""
    return str(next((folder / "runs" / "stages" / name).glob("*ed.pt")))
