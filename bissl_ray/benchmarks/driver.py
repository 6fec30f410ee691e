"""The driver: how fast trials go through all of a sweep but their training, and what they leave in its memory.

Planner, sampler, Tune, worker groups, mailbox, store and forecast are those of a sweep; a trial is a formula of its
settings, reported once per alternation. No board is drawn: the recorder gives that a tenth of the time at most.
"""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bissl_ray.benchmarks.instant import Instant, sleeping
from bissl_ray.config import SearchSpace, load_search_space
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.requests import SweepRequest
from bissl_ray.progress import Event, SweepProgress
from bissl_ray.sweep.experiment import Searched, run_experiment
from bissl_ray.workers.cluster import connected
from bissl_ray.workers.interrupt import Interrupt
from bissl_ray.workers.place import OnCluster

_NAME: Final = "driver"
_FURTHER: Final = 2
"""Trials that the sweep is resumed for."""
_SIZES: Final = {"pretext": 1000, "train": 100, "validation": 300, "test": 400, "classes": 10}


@dataclass(frozen=True)
class Mark:
    """Where a sweep stood.

    Attributes:
        trials: that had ended.
        seconds: since its first trial was handed out.
        rate: trials per second since the mark before.
        memory: bytes that the driver held, resident.
    """

    trials: int
    seconds: float
    rate: float
    memory: int


@dataclass(frozen=True)
class DriverMeasurement:
    """All of it.

    Attributes:
        sampler: of the search.
        alternations: reports of a trial that goes to its end.
        groups: of workers, side by side.
        seconds: that each report took, in the trial's own process.
        marks: in order.
        resume: seconds from being told to go on until a further trial began, with all of those in the store.
        resumed_memory: bytes that the driver held then.
    """

    sampler: str
    alternations: int
    groups: int
    seconds: float = 0.0
    marks: list[Mark] = field(default_factory=list)
    resume: float = math.nan
    resumed_memory: int = 0


def measure_driver(
    trials: Sequence[int],
    sampler: str,
    say: Callable[[str], None],
    groups: int | None = None,
    seconds: float = 0.0,
) -> DriverMeasurement:
    """Run a sweep of trials that take no time, in the digits' space, and resume it, on a local cluster of this machine.

    Args:
        trials: how many, rising; the last is how many explore trials the sweep has.
        sampler: of the search.
        say: hears how far it is.
        groups: of workers side by side, however many processors there are; None: one for each of those.
        seconds: that each alternation takes, of sleep. With none, and more groups than processors, what is measured
            is their start: trials are over before a group is up.

    Raises:
        BadInputError: there is no such sampler.
    """
    runner = sleeping(seconds) if seconds else Instant
    space = load_search_space("digits", {"protocol": {"sampler": sampler, "trials": trials[-1]}})
    with tempfile.TemporaryDirectory() as folder, connected(None, several=False, cpus=groups) as cluster:
        place = OnCluster(cluster, cluster.shape(1, f"{folder}/ray"))
        marks = _Marks(trials, say)
        run_experiment([Searched(_document(space))], folder, place, marks, Interrupt(), runner=runner)
        resumed = _First()
        further = space.protocol.model_copy(update={"trials": trials[-1] + _FURTHER})
        extended = _document(space.model_copy(update={"protocol": further}))
        run_experiment([Searched(extended)], folder, place, resumed, Interrupt(), runner=runner)
    return DriverMeasurement(
        sampler=space.protocol.sampler,
        alternations=space.largest("alternations"),
        groups=place.slots,
        seconds=seconds,
        marks=marks.found,
        resume=resumed.seconds,
        resumed_memory=resumed.memory,
    )


def driver_table(measured: DriverMeasurement) -> Group:
    """A row for each mark, the resume, and what they are of."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("trials", "seconds", "trials/s", "driver, MB"):
        table.add_column(name, justify="right", no_wrap=True)
    for mark in measured.marks:
        table.add_row(f"{mark.trials:,}", f"{mark.seconds:.0f}", f"{mark.rate:.1f}", f"{mark.memory / 1e6:.0f}")
    return Group(
        Text(
            f"A sweep of trials that {'sleep' if measured.seconds else 'take no time'}: {measured.sampler}, "
            f"{measured.alternations} reports of a trial that is not stopped"
            f"{f', every {measured.seconds:g} s' if measured.seconds else ''}, {measured.groups} worker groups"
        ),
        Text(),
        table,
        Text(f"\nResumed: a further trial runs after {measured.resume:.1f} s; {measured.resumed_memory / 1e6:.0f} MB."),
        Text(
            "trials/s: since the line above. Everything is a sweep's own but the training: planner, sampler, Tune, "
            "worker groups, store.",
            style="dim",
        ),
    )


def _document(space: SearchSpace) -> SweepDocument:
    data = DataChoice("digits")
    return SweepDocument(request=SweepRequest(name=_NAME, data=data, space=space), data=_SIZES, start="none.pt")


class _Marks:
    """A view that notes when a sweep came to each of some numbers of trials."""

    def __init__(self, trials: Sequence[int], say: Callable[[str], None]) -> None:
        self.found: list[Mark] = []
        self._to_come = list(trials)
        self._say = say
        self._begin: float | None = None

    def show(self, event: Event) -> None:
        if not isinstance(event, SweepProgress):
            return
        now = time.monotonic()
        if self._begin is None:
            self._begin = now
        while self._to_come and event.done >= self._to_come[0]:
            self._to_come.pop(0)
            before = self.found[-1] if self.found else Mark(0, 0.0, 0.0, 0)
            seconds = now - self._begin
            rate = (event.done - before.trials) / (seconds - before.seconds)
            self.found.append(Mark(event.done, seconds, rate, _resident()))
            self._say(f"{event.done} trials in {seconds:.0f} s")


class _First:
    """A view that notes when the first trial runs."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self.seconds = math.nan
        self.memory = 0

    def show(self, event: Event) -> None:
        if isinstance(event, SweepProgress) and event.running and math.isnan(self.seconds):
            self.seconds = time.monotonic() - self._begin
            self.memory = _resident()


def _resident() -> int:
    """Bytes of this process that are in memory (Linux)."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])
