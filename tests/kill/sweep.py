"""A sweep whose processes are killed: what runs of it, what was stored of it, and whether all of that stays."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from bissl_ray.store import read_reports, read_trials, to_rows
from bissl_ray.store.schema import report_key
from bissl_ray.training.files import read_tensors
from bissl_ray.words import Phase, Status, Step
from bissl_ray.workers.losses import MOST_ATTEMPTS
from tests.cli.command import start
from tests.process_tree import below, still_run

KINDS: Final[Mapping[str, Callable[[str], bool]]] = {
    "driver": lambda command: False,
    "Tune actor": lambda command: command.startswith("ray::TrialRunner"),
    "Train worker": lambda command: command.startswith("ray::") and "TrainWorker" in command,
    "mailbox": lambda command: command.startswith("ray::Mailbox"),
    "raylet": lambda command: "/raylet/raylet " in command,
    "GCS": lambda command: "/gcs/gcs_server " in command,
}
"""What is killed, by what its command line says; a driver is known by its number."""
_OUTLIVE: Final = 20.0  # seconds that one of its processes may run longer than the driver, on a machine that is busy
_GIVEN_UP: Final = re.compile(rf"\b{MOST_ATTEMPTS} times, without a new report in between$")
_ENDED: Final = (Status.COMPLETE, Status.PRUNED, Status.FAILED)


class Sweep:
    """One sweep, from its beginning to its end, however many drivers that takes."""

    def __init__(self, folder: Path, number: int, patience: float) -> None:
        self._patience = patience
        self.folder, self.name, self.workers = folder, f"night{number}", 2 - number % 2
        self.storage = str(folder / "runs")
        self.finished = False
        self.losses = 0
        """Times that a process of a worker group was killed."""
        self.begun = False
        self.trials: dict[str, dict[str, Any]] = {}
        self.reports: dict[tuple[Any, ...], float] = {}
        self.driver: subprocess.Popen[str] | None = None
        self.own: dict[int, str] = {}

    def drive(self) -> None:
        """Begin it, or go on with it."""
        if self.begun:
            self.driver = start("resume", self.name, cwd=self.folder)
        else:
            asked = ("--space", "tiny.yaml", "--pretrained", "ssl.pth", "--name", self.name)
            self.driver = start("sweep", *asked, "--workers-per-trial", self.workers, cwd=self.folder)
        self.own = {}

    def note(self) -> None:
        """Remember all rows that can be read; those that were noted before must be the same."""
        self.begun = self.begun or (self.folder / f"runs/sweeps/{self.name}/sweep.json").exists()
        trials = {row["trial"]: row for row in to_rows(read_trials(self.storage, "digits", self.name))}
        reports = to_rows(read_reports(self.storage, "digits", self.name))
        found = {(row["trial"], *report_key(row)): row["objective"] for row in reports}
        assert len(found) == len(reports), "a report is there twice"
        for key, objective in self.reports.items():
            assert found.get(key) == objective, f"report {key} was {objective}, and is {found.get(key)}"
        for name, before in self.trials.items():
            now = trials.get(name)
            assert now is not None, f"{name} is gone"
            same = [column for column in before if column.startswith("param_")] + ["seed", "origin", "parent"]
            if before["status"] in _ENDED:
                same += ["status", "objective", "alternations", "ended_at"]
            unlike = [column for column in same if before[column] != now[column]]
            assert not unlike, f"{name} had another {unlike[0]}: {before[unlike[0]]}, now {now[unlike[0]]}"
        self.trials, self.reports = trials, found

    def check_end(self) -> None:
        """Every trial has ended, with all of its reports; the winner's model loads."""
        self.note()
        failed = {name: row["status_reason"] for name, row in self.trials.items() if row["status"] == Status.FAILED}
        # As a sweep promises: a trial whose workers were lost so often without getting on is given up.
        assert all(_GIVEN_UP.search(reason) for reason in failed.values()), failed
        assert len(failed) <= self.losses // MOST_ATTEMPTS, (failed, self.losses)
        for name, row in self.trials.items():
            assert row["status"] in _ENDED, f"{name}: {row['status']}, {row['status_reason']}"
            told = sorted(key[2] for key in self.reports if key[:2] == (name, "bissl"))
            assert told == list(range(1, (row["alternations"] or 0) + 1)), f"{name} has reports of {told}"
        looked = [row for row in self.trials.values() if row["test_metric"] is not None]
        assert {(row["phase"], row["step"]) for row in looked} == {
            (p, Step.SEEDS) for p in (Phase.CONFIRM, Phase.CONTROL)
        }
        for row in looked:
            assert read_tensors(self.storage, row["checkpoint"]), f"{row['checkpoint']} does not load"

    # Its processes

    def processes(self) -> dict[str, list[int]]:
        """Those that it has at the moment, by kind."""
        assert self.driver is not None
        found: dict[str, list[int]] = {"driver": [self.driver.pid]}
        for pid, command in below(self.driver.pid).items():
            self.own[pid] = command
            for kind, is_one in KINDS.items():
                if is_one(command):
                    found.setdefault(kind, []).append(pid)
        return found

    def runs(self, seconds: float) -> bool:
        """Whether its driver still runs after so many seconds."""
        assert self.driver is not None
        with suppress(subprocess.TimeoutExpired):
            self.driver.wait(seconds)
        return self.driver.returncode is None

    def rows(self) -> int:
        """How far it is, as of the last note."""
        return len(self.trials) + len(self.reports)

    def gets_on(self) -> None:
        """Wait for its next row, or its driver's end."""
        before, deadline = self.rows(), time.monotonic() + self._patience
        while self.runs(1.0) and self.rows() == before:
            self.processes()
            self.note()
            assert time.monotonic() < deadline, f"no row, and no end, within {self._patience:.0f} s: {self._doing()}"

    def _doing(self) -> str:
        """Where its driver stands, and what it has said."""
        assert self.driver is not None
        spy = [str(Path(sys.executable).with_name("py-spy")), "dump", "--pid", str(self.driver.pid)]
        stacks = ""
        with suppress(OSError):
            stacks = subprocess.run(spy, capture_output=True, text=True, check=False).stdout
        self.driver.kill()
        return "\n".join([*self.driver.communicate(), stacks, *self.own.values()])

    def give_up(self) -> None:
        """End its driver, if it runs; what it has started ends with it."""
        if self.driver is not None and self.driver.poll() is None:
            self.driver.kill()
            self.driver.communicate()

    def end(self) -> tuple[int, str]:
        """Wait for its driver; its exit code, and what it said last. Ray's processes end with it, or are left over."""
        assert self.driver is not None
        while self.runs(0):
            self.gets_on()
        output, errors = self.driver.communicate()
        left = still_run(self.own, _OUTLIVE)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left, f"left running: {[self.own[pid][:60] for pid in left]} after {output[-500:]} {errors[-500:]}"
        assert "Traceback" not in errors, errors[-2000:]
        return self.driver.returncode, ([*output.strip().splitlines(), *errors.strip().splitlines()] or [""])[-1]
