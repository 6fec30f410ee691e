"""Kill a sweep's processes at random moments and resume it, and see that nothing is lost: `make killtest` (issue 18).

Real sweeps of digits on a Ray of their own. Between two kills all rows that can be read are noted; at the end each
must be there once, as it was; every trial has ended once, and the winner's checkpoint loads.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from bissl_ray.store import read_reports, read_trials, to_rows
from bissl_ray.store.schema import report_key
from bissl_ray.training.files import read_tensors
from bissl_ray.words import Phase, Status, Step
from tests.cli.command import checkpoint, start, tiny_space
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
_VITAL: Final = ("driver", "raylet", "GCS")
"""A driver that has lost one ends, or starts another Ray if it was about to start."""
_LATEST: Final = 12.0  # seconds to the next kill
_AT_ONCE: Final = 0.25  # share of kills for which that counts from the last one: else from the next row that is written
_PATIENCE: Final = 300.0  # for a driver to end, or to go on, once something of its own is gone
_OUTLIVE: Final = 20.0  # seconds that one of its processes may run longer than the driver, on a machine that is busy
_ENDED: Final = (Status.COMPLETE, Status.PRUNED, Status.FAILED)


class Sweep:
    """One sweep, from its beginning to its end, however many drivers that takes."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.name, self.workers = folder, f"night{number}", 2 - number % 2
        self.storage = str(folder / "runs")
        self.finished = False
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
        for name, row in self.trials.items():
            assert row["status"] in (Status.COMPLETE, Status.PRUNED), f"{name}: {row['status']}, {row['status_reason']}"
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
        before, deadline = self.rows(), time.monotonic() + _PATIENCE
        while self.runs(1.0) and self.rows() == before:
            self.processes()
            self.note()
            if time.monotonic() > deadline:
                self.driver.kill()
                raise AssertionError(f"no row, and no end, within {_PATIENCE:.0f} s")

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


class Tally:
    """What was killed, and what came of it."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self.kills = Counter[str]()
        self.outcomes = Counter[tuple[str, str]]()
        self._open: list[tuple[str, int]] = []

    def killed(self, kind: str, sweep: Sweep) -> None:
        self.kills[kind] += 1
        self._open.append((kind, sweep.rows()))
        self.say(f"kill {self.kills.total()}: {kind} of {sweep.name}")

    def went_on(self, sweep: Sweep) -> None:
        """Count the kills after which the same driver has got further (without a daemon: to the sweep's end)."""
        further = [each for each in self._open if each[0] not in _VITAL and sweep.rows() > each[1]]
        self._close("went on", self._open if sweep.finished else further)

    def ended(self) -> None:
        """Count the others: their driver has ended, and another is about to resume the sweep."""
        self._close("resumed", self._open)

    def _close(self, outcome: str, which: list[tuple[str, int]]) -> None:
        self.outcomes.update((kind, outcome) for kind, _ in which)
        self._open = [each for each in self._open if each not in which]

    def say(self, line: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self.begin:6.0f} s  {line}\n")
        sys.stdout.flush()

    def table(self) -> str:
        rows = [
            f"| {kind} | {self.kills[kind]} | {self.outcomes[kind, 'went on']} | {self.outcomes[kind, 'resumed']} |"
            for kind in KINDS
        ]
        return "\n".join(
            ["| killed | times | the sweep went on | was resumed |", "| --- | ---: | ---: | ---: |", *rows]
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="kills")
    parser.add_argument("--seed", type=int, default=0, help="of what is killed, and when")
    asked = parser.parse_args()
    warnings.simplefilter("error")
    chance, tally, number = random.Random(asked.seed), Tally(), 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tiny_space(folder, fixed={"alternations": 8, "lower_steps": 8}, protocol={"trials": 8, "seeds": 3})
        checkpoint(folder)
        sweep: Sweep | None = None
        while tally.kills.total() < asked.count or (sweep is not None and not sweep.finished):
            if sweep is None or sweep.finished:
                sweep, number = Sweep(folder, number), number + 1
            sweep.drive()
            while tally.kills.total() < asked.count:
                if chance.random() >= _AT_ONCE:
                    sweep.gets_on()
                if not sweep.runs(chance.uniform(0, _LATEST)):
                    break
                found = sweep.processes()
                sweep.note()
                tally.went_on(sweep)
                kind = min(found, key=lambda kind: (tally.kills[kind], chance.random()))
                with suppress(ProcessLookupError):  # it has just ended by itself
                    os.kill(chance.choice(found[kind]), signal.SIGKILL)
                    tally.killed(kind, sweep)
            code, said = sweep.end()
            sweep.note()
            sweep.finished = code == 0
            tally.went_on(sweep)
            tally.ended()
            tally.say(f"{sweep.name} ended with {code}: {said[:150]}")
            if sweep.finished:
                sweep.check_end()
    tally.say(f"{tally.kills.total()} kills in {number} sweeps; nothing lost, doubled or changed")
    sys.stdout.write(f"{tally.table()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
