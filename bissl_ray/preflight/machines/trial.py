"""A trial's first steps on a group of workers, as a sweep would start it: how long that takes, and what memory."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.config.settings import Settings
from bissl_ray.data.machine import usable_memory
from bissl_ray.errors import RunFailedError
from bissl_ray.leaderboard.numbers import duration, size
from bissl_ray.preflight.machines import told
from bissl_ray.preflight.machines.ask import Answer, Asked, Machines, ThisMachine
from bissl_ray.preflight.machines.checks import Check, Verdict
from bissl_ray.progress import Alive, Event, Quiet
from bissl_ray.store.filesystem import missing_folders, open_storage
from bissl_ray.training.order import Order, of_method
from bissl_ray.workers.place import OnCluster
from bissl_ray.world import world

_SLOW_S: Final = 60.0
_PATIENCE_S: Final = 180.0
"""Until a group has room: others may have taken all of it."""
_FILLED: Final = 0.9
"""Of a memory, what a trial may take: fragments and other processes have the rest."""
_LARGER_WITH: Final = ("lower_batch", "upper_batch", "curvature_batch", "cg_iterations", "image_size")
"""Settings whose larger values take more memory, where they are searched."""


@dataclass(frozen=True)
class Subject:
    """What the machines are looked at for.

    Attributes:
        storage: absolute.
        space: of the sweep that is meant.
        data: that it would run on.
        workers: of a trial.
    """

    storage: str
    space: SearchSpace
    data: DataChoice
    workers: int = 1


@dataclass(frozen=True)
class FirstSteps:
    """What they came to.

    Attributes:
        started_after: seconds until the workers said anything; None: they never did.
        seconds: in all.
        peak_memory: bytes that its first worker held at a time.
        failure: why it ended early, in words.
    """

    started_after: float | None
    seconds: float
    peak_memory: int | None = None
    failure: str | None = None


def check_first_steps(subject: Subject, place: OnCluster) -> Check:
    """Whether a group of workers starts, and the largest trial's memory is there."""
    came = first_steps(subject.space, subject.data, place, subject.storage)
    if came.failure:
        return Check("a trial", Verdict.FAILURE, f"its first steps failed: {came.failure}", "see to that first")
    started = duration(came.started_after or came.seconds)
    found = f"a group of {subject.workers} starts in {started}, the first steps end after {duration(came.seconds)}"
    if came.peak_memory is None:
        return Check("a trial", Verdict.OK, found)
    found += f"; the largest configuration takes {size(came.peak_memory)} a worker"
    room = _room(place)
    if room is not None:
        found += f" of {size(room)}"
        if came.peak_memory > _FILLED * room:
            remedy = "smaller batches (lower_batch, upper_batch, curvature_batch), or lower_memory: recompute"
            return Check("a trial", Verdict.WARNING, found, remedy)
    if came.started_after is not None and came.started_after > _SLOW_S:
        remedy = "a slow disk or network under the machines' Python, most likely: put it on a disk of their own"
        return Check("a trial", Verdict.WARNING, found, remedy)
    return Check("a trial", Verdict.OK, found)


def _room(place: OnCluster) -> int | None:
    """Bytes that a worker has: of the smallest GPU its share, or of the machine with the least memory likewise."""
    asked: Asked = ThisMachine() if place.cluster.where == "this machine" else Machines().only(place.has_gpus)
    if place.has_gpus:
        answers = asked.ask(told.gpus, patience=told.GPUS_S, as_code=True)
        memories = [gpu["memory"] for answer in answers if answer.value for gpu in answer.value.get("gpus", ())]
        return int(min(memories) * place.shape.gpu_share) if memories else None
    least: list[Answer[int]] = asked.ask(usable_memory)
    by_name = {answer.machine: answer.value for answer in least if answer.value}
    cpus = place.shape.cpus_per_worker
    each = [by_name[m.name] // max(1, m.node.cpus // cpus) for m in Machines().each if m.name in by_name]
    if isinstance(asked, ThisMachine):
        each = [value // max(1, place.slots) for value in by_name.values()]
    return min(each, default=None)


def largest(space: SearchSpace) -> Settings:
    """The settings of the trial that takes the most memory, as far as that is known of what is searched."""
    point = space.middle()
    for name in point:
        if name in _LARGER_WITH:
            point[name] = space.largest(name)
    return space.settings(point)


def first_steps(space: SearchSpace, data: DataChoice, place: OnCluster, storage: str) -> FirstSteps:
    """Run one alternation at the largest configuration, from fresh weights; nothing of it is kept.

    Args:
        space: whose largest configuration it is.
        data: that the trials would see.
        place: whose groups they would run on.
        storage: absolute, and reached by every machine.
    """
    settings = largest(space).model_copy(
        update={"alternations": 1, "head_epochs": 1, "alignment_every": 0, "lower_steps": 1, "upper_steps": 1}
    )
    listens, failure = _Listens(), "it was stopped"
    with _folder(storage) as folder:
        order = Order(
            trial="first-steps",
            data=data,
            storage=folder,
            sweep=None,
            settings=settings,
            seed=space.protocol.seed,
            stages=of_method(("head", "bissl"), settings),
            start="",
            fresh=True,
            keep_models=False,
        )
        try:
            there = replace(place, shape=replace(place.shape, run_dir=f"{folder}/ray"))
            result = there.run(order, listens, listens.in_vain).result
        except RunFailedError as error:
            result, failure = None, str(error)
    if result is None:
        if listens.in_vain():
            failure = f"no group could start within {_PATIENCE_S:.0f} s: others may have all the room (`ray status`)"
        return FirstSteps(listens.started_after, listens.seconds, failure=failure)
    return FirstSteps(listens.started_after, listens.seconds, result.get("peak_memory"))


class _Listens(Quiet):
    """Notes when the workers say something for the first time."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self.started_after: float | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin

    def in_vain(self) -> bool:
        """Whether they have said nothing for so long that nobody waits any more."""
        return self.started_after is None and self.seconds > _PATIENCE_S

    def show(self, event: Event) -> None:
        if self.started_after is None and not isinstance(event, Alive):  # which is said of a wait for room, too
            self.started_after = self.seconds


@contextmanager
def _folder(storage: str) -> Iterator[str]:
    """Below the storage, where every machine gets at it; removed afterwards, and a storage that was not there too."""
    filesystem, base = open_storage(storage)
    made = missing_folders(filesystem, base)
    name = f".doctor-{world().token()}"
    try:
        yield f"{storage.rstrip('/')}/{name}"
    finally:
        with suppress(OSError):
            filesystem.delete_dir(f"{base}/{name}")
        for each in made:
            with suppress(OSError):
                each.rmdir()
