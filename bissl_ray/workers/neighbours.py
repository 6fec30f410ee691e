"""Jobs of this package that share a Ray cluster, of one person or of several: what part of it is whose.

Ray gives what is free to whoever asks first, and keeps it for him as long as he lives: a sweep holds its groups to its
end. So each job says on a board in the cluster's own memory (GCS) that it is there and how much it could use, reads
what the others say, and takes no more than its part. A job that has gone falls silent, and is not counted any more.
"""

import getpass
import json
import logging
import math
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from bissl_ray.world import world

_NAMESPACE: Final = b"bissl-ray"
_PREFIX: Final = b"job:"
_BEAT_S: Final = 2.0
_SILENT_S: Final = 15.0
"""From when on a job is taken for gone that has said nothing."""
_ALMOST: Final = 1e-6


class Job(NamedTuple):
    """A job on a cluster.

    Attributes:
        key: unique.
        what: it is: "sweep night".
        who: runs it: "ada on gpu1".
        since: when it came, by the clock of its machine; only their order matters.
        wants: the part of the cluster that it could use now, from 0 to 1.
    """

    key: str
    what: str
    who: str
    since: float
    wants: float

    @property
    def words(self) -> str:
        """For a line."""
        return f"{self.what} of {self.who}"


def parts(jobs: Sequence[Job]) -> list[float]:
    """The part of a cluster that is each job's: as much as it wants, and the rest in equal parts (max-min fair).

    Args:
        jobs: all that share it.

    Returns:
        A part for each, from 0 to 1; together 1 at most.
    """
    found = [0.0] * len(jobs)
    left, todo = 1.0, sorted(range(len(jobs)), key=lambda index: jobs[index].wants)
    for position, index in enumerate(todo):
        found[index] = min(jobs[index].wants, left / (len(todo) - position))
        left -= found[index]
    return found


def groups_of(key: str, jobs: Sequence[Job], fitting: int) -> int:
    """How many groups of workers a job may have, where so many of them fit on the cluster.

    Parts are no whole numbers of groups: who came first has what is left over.

    Args:
        key: of the job.
        jobs: all that share it, itself among them.
        fitting: groups of its shape.
    """
    before = 0.0
    for job, part in sorted(zip(jobs, parts(jobs), strict=True), key=lambda each: (each[0].since, each[0].key)):
        if job.key == key:
            return math.ceil((before + part) * fitting - _ALMOST) - math.ceil(before * fitting - _ALMOST)
        before += part
    return fitting


class Neighbours:
    """A job among the others of its cluster.

    Attributes:
        others: that are there, as far as is known.
    """

    def __init__(self, what: str) -> None:
        """Prepare; nothing is said yet.

        Args:
            what: the job is: "sweep night".
        """
        self._me = Job(world().token(), what, _whoever(), world().now().timestamp(), 1.0)
        self._beats = 0
        self._heard: dict[str, tuple[int, float]] = {}
        self.others: tuple[Job, ...] = ()

    def want(self, part: float) -> None:
        """Say what part of the cluster the job could use, from 0 to 1; the others hear of it within seconds."""
        self._me = self._me._replace(wants=min(max(part, 0.0), 1.0))

    def groups(self, fitting: int) -> int:
        """How many groups the job may have, where so many of its shape fit on the cluster."""
        return groups_of(self._me.key, [self._me, *self.others], fitting)

    @property
    def what(self) -> str:
        """The job is, in words."""
        return self._me.what

    @property
    def words(self) -> str:
        """The others, for a line."""
        return ", ".join(job.words for job in sorted(self.others, key=lambda job: job.since))

    @property
    def holding(self) -> str:
        """What a job waits for that has no part, for a line."""
        return f"waits for room on the cluster, which has none beside {self.words}"

    # The board

    def say_and_hear(self) -> None:
        """Say that the job is there, and see who else is (raises RuntimeError: the cluster does not answer)."""
        from ray.experimental import internal_kv

        self._beats += 1
        said = json.dumps([*self._me[1:], self._beats])
        internal_kv._internal_kv_put(_PREFIX + self._me.key.encode(), said.encode(), namespace=_NAMESPACE)
        now, found = world().monotonic(), []
        for name in internal_kv._internal_kv_list(_PREFIX, namespace=_NAMESPACE):
            key = name.removeprefix(_PREFIX).decode()
            told = None if key == self._me.key else internal_kv._internal_kv_get(name, namespace=_NAMESPACE)
            if told is None:
                continue
            with suppress(ValueError, TypeError):  # of another version
                *job, beats = json.loads(told)
                if self._heard.get(key, (None, 0.0))[0] != beats:
                    self._heard[key] = (beats, now)
                if now - self._heard[key][1] < _SILENT_S:
                    found.append(Job(key, *job))
        self.others = tuple(found)

    def leave(self) -> None:
        """Say that the job is gone."""
        from ray.experimental import internal_kv

        with suppress(Exception):  # a cluster that is gone itself
            internal_kv._internal_kv_del(_PREFIX + self._me.key.encode(), namespace=_NAMESPACE)


@contextmanager
def among_others(what: str) -> Iterator[Neighbours]:
    """Be a job of the connected cluster for the duration of a `with` block; it is kept up to date in the background.

    Args:
        what: the job is: "sweep night".
    """
    mine, over = Neighbours(what), threading.Event()

    def look() -> None:
        while not over.wait(_BEAT_S):
            try:
                mine.say_and_hear()
            except Exception as error:  # a cluster that does not answer is `workers.watch`'s business
                logging.getLogger("ray").warning("the cluster's jobs can't be listed: %s", error)

    mine.say_and_hear()
    looking = threading.Thread(target=look, name="neighbours", daemon=True)
    looking.start()
    try:
        yield mine
    finally:
        over.set()
        looking.join(_BEAT_S)  # longer only where the cluster does not answer
        mine.leave()


def _whoever() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"user {os.getuid()}"
    return f"{name} on {socket.gethostname()}"
