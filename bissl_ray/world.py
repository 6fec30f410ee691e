"""What a process finds around it: clocks, chance, threads, itself among other processes, file systems (issue 18).

Whether work is lost hangs on the order in which these do things. So the store, its lock, the mailbox, what a trial
saves and the sweep's recorder ask for them here and nowhere else, and a test may put another world in the place of this
one whose every moment follows from a seed (`tests/simulation`).
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from pyarrow.fs import FileSystem

S = TypeVar("S")
T = TypeVar("T")


class Running(Protocol):
    """A thread, as who started it sees it."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, so many seconds at most."""

    def is_alive(self) -> bool:
        """Whether it has not ended."""


class Process(NamedTuple):
    """A process among those of all machines.

    Attributes:
        host: name of its machine.
        where: what its number is counted in; processes of one `where` see whether the others live.
        pid: its number there.
        started: when it was started, as its system counts; None: not known.
    """

    host: str
    where: str
    pid: int
    started: int | None


class World:
    """That of this machine; a simulation's has the same methods."""

    def monotonic(self) -> float:
        """Seconds that have passed since some moment; no clock that is set changes it."""
        return time.monotonic()

    def now(self) -> datetime:
        """The time, in UTC, as this machine's clock has it."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def token(self) -> str:
        """32 hexadecimal digits that nobody else is given."""
        return uuid.uuid4().hex

    def lock(self) -> AbstractContextManager[Any]:
        """What one thread at a time may hold."""
        return threading.Lock()

    def condition(self) -> threading.Condition:
        """What threads wait on until something is so."""
        return threading.Condition()

    def event(self) -> threading.Event:
        """What is set once."""
        return threading.Event()

    def start(self, run: Callable[[], None], name: str) -> Running:
        """Run something beside this thread; it doesn't keep the process from ending."""
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def side_by_side(self, function: Callable[[S], T], items: Iterable[S], most: int) -> list[T]:
        """What a function gives for each of several, with so many calls under way at a time."""
        with ThreadPoolExecutor(most) as pool:
            return list(pool.map(function, items))

    def process(self) -> Process:
        """This very process."""
        return Process(socket.gethostname(), _where(), os.getpid(), _started(os.getpid()))

    def runs(self, process: Process) -> bool:
        """Whether a process of this one's `where` is alive, stopped or not."""
        try:
            with suppress(PermissionError):  # somebody else's, and alive
                os.kill(process.pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        return process.started is None or process.started == _started(process.pid)

    def file_system(self, uri: str) -> tuple[FileSystem, str]:
        """The file system that a URI names, and the path on it (raises pyarrow.ArrowException, OSError, ValueError)."""
        if uri.startswith(("gs://", "gcs://")) and "retry_limit_seconds=" not in uri:
            # Arrow's own is a quarter of an hour, in which nothing stops it: whoever reads says so earlier, and whoever
            # writes tries again by itself (`store.writer`).
            uri = f"{uri}{'&' if '?' in uri else '?'}retry_limit_seconds={_RETRIES_S}"
        found: tuple[FileSystem, str] = FileSystem.from_uri(uri)
        return found


_RETRIES_S: Final = 20
_MACHINE: Final = World()
_around: World = _MACHINE


def world() -> World:
    """The world that this process is in."""
    return _around


@contextmanager
def inside(other: World) -> Iterator[None]:
    """Be in another world for the duration of a `with` block."""
    global _around
    before, _around = _around, other
    try:
        yield
    finally:
        _around = before


def _where() -> str:
    """What numbers of processes are counted in: this boot of this machine, and the container."""
    found = [socket.gethostname()]
    with suppress(OSError):
        found.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
        found.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(found)


def _started(pid: int) -> int | None:
    """When a process was started, in ticks since the boot (Linux); None: not known."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19])
    return None
