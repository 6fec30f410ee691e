"""One sweep of digits on a cluster whose nodes are lost, added and drained as it goes, and what became of it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bissl_ray.errors import BadInputError
from bissl_ray.store import read_reports, read_trials, to_rows
from bissl_ray.store.schema import report_key
from bissl_ray.words import Status
from tests.cli.command import tiny_space

STEPS: Final = ("pretraining", "explore", "tuning", "confirm", "test")
"""Of a sweep, in their order."""
_RUNNING: Final = {"search": "explore", "tuning": "tuning", "seeds": "confirm"}
_PATIENCE_S: Final = 600.0
_SAME: Final = ("status", "phase", "step", "origin", "parent", "seed", "objective", "alternations", "test_metric")


def space(folder: Path) -> None:
    """What is searched: proposed at random, so that it is the same whoever ends first; no trial is stopped."""
    tiny_space(
        folder,
        fixed={"pretrain_epochs": 6, "lower_steps": 12, "finetune_epochs": 8},
        protocol={"trials": 3, "finalists": 1, "finetune_runs": 2, "seeds": 2, "early_stopping": False},
    )


@dataclass
class Sweep:
    """A driver on the head, and what it says.

    Attributes:
        folder: where it runs; its storage is below.
        address: of the cluster.
        workers: of a trial.
    """

    folder: Path
    address: str
    workers: int
    name: str = "night"
    said: list[tuple[float, str]] = field(default_factory=list)
    driver: "subprocess.Popen[str] | None" = None

    def begin(self, *arguments: str) -> None:
        """Start it; `arguments` in place of what begins a new sweep."""
        asked = arguments or (
            *("sweep", "--space", "tiny.yaml", "--name", self.name),
            *("--workers-per-trial", str(self.workers)),
        )
        self.driver = subprocess.Popen(
            [sys.executable, "-m", "bissl_ray", *asked, "--address", self.address],
            cwd=self.folder,
            env=dict(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(self.driver,), daemon=True).start()

    def _listen(self, driver: "subprocess.Popen[str]") -> None:
        assert driver.stdout is not None
        for line in driver.stdout:
            self.said.append((time.monotonic(), line.rstrip()))

    def until(self, found: Callable[[str], bool], since: int = 0) -> float | None:
        """Wait for a line; when it came, or None where the driver ended, or said nothing of the kind for so long."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            ended = self.driver is None or self.driver.poll() is not None
            for when, line in self.said[since:]:
                if found(line):
                    return when
            if ended:
                return None
            time.sleep(0.05)
        return None

    def reach(self, step: str) -> bool:
        """Wait until the sweep is in the middle of a step; False where it has ended, or never comes there."""
        assert self.driver is not None
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline and self.driver.poll() is None:
            if self._is_at(step):
                return True
            time.sleep(0.2)
        return False

    def _is_at(self, step: str) -> bool:
        if step == "pretraining":
            return any(line.startswith("pretraining (epochs): 2 ") for _, line in self.said)
        if step == "test":
            return any(line.startswith("one look at the test split") for _, line in self.said)
        rows = [row for row in self.trials().values() if _RUNNING[row["step"]] == step]
        begun = len(rows) > 1 or any(row["objective"] is not None for row in rows)
        return begun and any(row["status"] == Status.RUNNING for row in rows)

    def end(self) -> int:
        """Wait for the driver's end; its exit code, -9 where it had to be killed."""
        assert self.driver is not None
        try:
            return self.driver.wait(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.driver.kill()
            return self.driver.wait()

    def trials(self) -> dict[str, dict[str, Any]]:
        """What became of each trial, whatever ran where: its configuration, scores and end."""
        try:
            rows = to_rows(read_trials(self.folder / "runs", "digits", self.name))
        except (BadInputError, OSError):
            rows = []  # it has none yet
        return {
            row["trial"]: {name: row[name] for name in row if name in _SAME or name.startswith("param_")}
            for row in rows
        }

    def runs(self) -> bool:
        """Whether the driver does."""
        return self.driver is not None and self.driver.poll() is None

    def reports(self) -> list[dict[str, Any]]:
        """All that have been stored."""
        return to_rows(read_reports(self.folder / "runs", "digits", self.name))

    def check_reports(self) -> None:
        """Every report is there once."""
        keys = [(row["trial"], *report_key(row)) for row in self.reports()]
        assert len(keys) == len(set(keys)), "a report is there twice"


def unlike(found: dict[str, dict[str, Any]], expected: dict[str, dict[str, Any]]) -> list[str]:
    """In what the trials of two sweeps differ; scores may in their last digits."""
    wrong = [f"{name} is in one alone" for name in found.keys() ^ expected.keys()]
    for name in sorted(found.keys() & expected.keys()):
        for column, value in expected[name].items():
            now = found[name].get(column)
            close = isinstance(value, float) and isinstance(now, float) and abs(value - now) < 1e-6
            if now != value and not close:
                wrong.append(f"{name}: {column} is {now}, and was {value}")
    return wrong


def all_ended(trials: dict[str, dict[str, Any]]) -> bool:
    """Whether each has come to its end, and none has failed."""
    return all(row["status"] in (Status.COMPLETE, Status.PRUNED) for row in trials.values())
