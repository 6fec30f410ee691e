"""The way of every job, a sweep or a stage by itself, from a request to work: look, connect, look again, lock, run."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

from bissl_ray.config.data_choice import DataChoice, Decoding
from bissl_ray.errors import RunFailedError
from bissl_ray.preflight.data import DataFacts, inspect_data, inspect_everywhere
from bissl_ray.preflight.machines.ask import Machines
from bissl_ray.preflight.machines.checkup import refuse_unfit
from bissl_ray.progress import Note, View
from bissl_ray.store.lock import Held, check_free, locked
from bissl_ray.training.files import remove_folder
from bissl_ray.workers import ray_log
from bissl_ray.workers.address import chosen_address
from bissl_ray.workers.interrupt import Interrupt, interruptible
from bissl_ray.workers.neighbours import among_others
from bissl_ray.workers.place import Need, OnCluster, Place, check_here, looked_after, place_for

T = TypeVar("T")
Inspect = Callable[[DataChoice, Decoding], DataFacts]


def _any_place(place: Place) -> None:
    """Any place will do."""


@dataclass(frozen=True)
class Job(Generic[T]):
    """What a sweep and a stage by itself have in common.

    Attributes:
        what: it is, for lines: "sweep night".
        folder: of its own, relative to the storage.
        data: that it runs on.
        decoding: of its image files.
        need: what it asks of the place where it runs.
        prepare: makes of the facts about the data what the job needs; raises BadInputError where they don't fit.
        suits: raises BadInputError where the place won't do.
        go_on: what takes it up again when it has ended early, for lines.
        command: what those are told who share the cluster, where that is more than this job; None: `what`.
    """

    what: str
    folder: str
    data: DataChoice
    decoding: Decoding
    need: Need
    prepare: Callable[[DataFacts], T]
    suits: Callable[[Place], None] = _any_place
    go_on: str = "the same command and its --name"
    command: str | None = None

    @property
    def ray_folder(self) -> str:
        """Where Ray keeps its own state of the run, which going on never reads."""
        return f"{self.folder}/ray"


@dataclass(frozen=True)
class Session(Generic[T]):
    """A job under way.

    Attributes:
        place: where it runs.
        interrupt: whether someone has asked to stop.
        prepared: what was made of the facts about the data.
        lock: held on the job's folder.
    """

    place: Place
    interrupt: Interrupt
    prepared: T
    lock: Held


@contextmanager
def session(
    job: Job[T], storage: str, address: str | None, view: View, beside: "Session[Any] | None" = None
) -> Iterator[Session[T]]:
    """See a job under way, for the duration of a `with` block in which Ctrl-C is a wish to stop.

    What can be refused without a cluster is refused before one is started; of another's, the workers see the data.

    Args:
        job: what it is.
        storage: absolute.
        address: of a Ray cluster to join, as `chosen_address` takes it.
        view: shows what there is to say before it is under way.
        beside: of several jobs that run together the first, whose place and interrupt the others share.

    Raises:
        BadInputError: another process runs it, the cluster can't be joined or is too small, or data don't fit; nothing
            was started or written.
        RunFailedError: Ray does not start, and nothing was written; or the cluster is gone.
    """

    def say(line: str) -> None:
        view.show(Note(line))

    check_free(storage, job.folder, job.what)
    where = chosen_address(address)
    ready: tuple[T] | None = None
    if where is None:
        check_here(job.need, job.suits)
        ready = (job.prepare(inspect_data(job.data, job.decoding)),)
    held = False
    try:
        with _somewhere(job, storage, where, say) if beside is None else nullcontext(beside) as there:
            place, asked = there.place, there.interrupt
            job.suits(place)
            (prepared,) = ready or (job.prepare(_there(place, storage, say)(job.data, job.decoding)),)
            with locked(storage, job.folder, job.what, asked.ask) as lock:
                held = True
                ray_log.lie_in(storage, job.folder)
                try:
                    with looked_after(place, job.what, job.go_on, asked):
                        yield Session(place, asked, prepared, lock)
                except KeyboardInterrupt:
                    if asked.reason is None:  # a person's
                        raise
                    reason = f"{job.what} stopped: {asked.reason}; go on with {job.go_on}"
                    raise RunFailedError(reason) from None
    finally:
        if held:
            remove_folder(storage, job.ray_folder)


class _Somewhere(NamedTuple):
    place: Place
    interrupt: Interrupt


@contextmanager
def _somewhere(job: Job[T], storage: str, where: str | None, say: Callable[[str], None]) -> Iterator[_Somewhere]:
    """A place to run, among the jobs that share it; and Ctrl-C is a wish to stop from then on."""
    with (
        _run_dir(f"{storage}/{job.ray_folder}", where) as run_dir,
        place_for(job.need, run_dir, where, say) as place,
        among_others(job.command or job.what) if where is not None else nullcontext() as neighbours,
        interruptible() as interrupt,
    ):
        if isinstance(place, OnCluster):
            place = replace(place, neighbours=neighbours)
        yield _Somewhere(place, interrupt)


@contextmanager
def _run_dir(shared: str, address: str | None) -> Iterator[str]:
    """Where Ray keeps its own state of a run: on this machine where there is no other, and no storage can refuse it."""
    if address is not None:
        yield shared
        return
    with tempfile.TemporaryDirectory(prefix="bissl-ray-", ignore_cleanup_errors=True) as folder:
        yield folder


def rehearse(job: Job[T], storage: str, address: str | None, with_data: bool = True) -> T | None:
    """Refuse what `session` would; nothing is started or written. Arguments and errors as there.

    Args:
        job: what it is.
        storage: absolute.
        address: as `session` takes it.
        with_data: whether data were named.

    Returns:
        What the job makes of the facts about the data, if any were named.
    """
    check_free(storage, job.folder, job.what)
    with looking(job.need, storage, address, job.suits) as inspect:
        return job.prepare(inspect(job.data, job.decoding)) if with_data else None


@contextmanager
def looking(
    need: Need, storage: str, address: str | None, suits: Callable[[Place], None] = _any_place
) -> Iterator[Inspect]:
    """Make sure that there is a place to run, and look at data there, for the duration of a `with` block.

    Args:
        need: what is asked of the place.
        storage: absolute.
        address: as `session` takes it.
        suits: as of `Job`.

    Yields:
        `inspect_data`, or what looks at the data where the workers of a running cluster will be.

    Raises:
        BadInputError: the cluster can't be joined, is too small or unfit, or nothing can run here.
    """
    where = chosen_address(address)
    if where is None:
        check_here(need, suits)
        yield inspect_data
    else:
        with place_for(need, "", where) as place:
            suits(place)
            yield _there(place, storage)


def _there(place: Place, storage: str, say: Callable[[str], None] = lambda _: None) -> Inspect:
    """What looks at data on every machine of a cluster (raises BadInputError: a job can't work on it)."""
    assert isinstance(place, OnCluster)
    refuse_unfit(place.cluster.where, storage, say)
    asked = Machines().only(place.has_gpus)
    return lambda data, decoding: inspect_everywhere(data, decoding, asked)
