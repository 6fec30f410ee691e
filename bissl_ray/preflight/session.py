"""The way of every job, a sweep or a stage by itself, from a request to work: look, connect, look again, lock, run."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from bissl_ray.config.data_choice import DataChoice, Decoding
from bissl_ray.preflight.data import DataFacts, inspect_data, inspect_remotely
from bissl_ray.store.lock import check_free, locked
from bissl_ray.training.files import remove_folder
from bissl_ray.workers.interrupt import Interrupt, interruptible
from bissl_ray.workers.place import Need, Place, place_for

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """What a sweep and a stage by itself have in common.

    Attributes:
        what: it is, for lines: "sweep night".
        folder: of its own, relative to the storage.
        data: that it runs on.
        decoding: of its image files.
        need: what it asks of the place where it runs.
    """

    what: str
    folder: str
    data: DataChoice
    decoding: Decoding
    need: Need


@dataclass(frozen=True)
class Session(Generic[T]):
    """A job under way.

    Attributes:
        place: where it runs.
        interrupt: whether someone has asked to stop.
        prepared: what was made of the facts about the data.
    """

    place: Place
    interrupt: Interrupt
    prepared: T


@contextmanager
def session(
    job: Job,
    storage: str,
    address: str | None,
    prepare: Callable[[DataFacts], T],
    suits: Callable[[Place], None] | None = None,
) -> Iterator[Session[T]]:
    """See a job under way, for the duration of a `with` block in which Ctrl-C is a wish to stop.

    What can be refused without a cluster is refused before one is started; of another's, the workers see the data.

    Args:
        job: what it is.
        storage: absolute.
        address: of a Ray cluster to join; None takes RAY_ADDRESS, else this machine.
        prepare: makes of the facts about the data what the job needs; raises BadInputError where they don't fit.
        suits: raises BadInputError where the place won't do; None: any does.

    Raises:
        BadInputError: another process runs it, the cluster can't be joined or is too small, or data don't fit; nothing
            was started or written.
    """
    check_free(storage, job.folder, job.what)
    address = address or os.environ.get("RAY_ADDRESS") or None
    ready = None if address else (prepare(inspect_data(job.data, job.decoding)),)
    ray_folder = f"{job.folder}/ray"
    held = False
    try:
        # Ray installs a SIGTERM handler of its own when it connects: ours must come after it.
        with place_for(job.need, f"{storage}/{ray_folder}", address) as place, interruptible() as interrupt:
            if suits is not None:
                suits(place)
            (prepared,) = ready or (prepare(inspect_remotely(job.data, job.decoding)),)
            with locked(storage, job.folder, job.what):
                held = True
                yield Session(place, interrupt, prepared)
    finally:
        if held:
            # Ray's own state of the run, which going on never reads.
            remove_folder(storage, ray_folder)
