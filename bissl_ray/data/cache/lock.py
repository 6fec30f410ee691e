"""Who may change the cache's folder, and who fills a cache: one process each, told by locks that end with it."""

import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Final

from bissl_ray.data.cache.news import Tell
from bissl_ray.progress import Decoding, Note

_POLL_S: Final = 0.2
_PROGRESS: Final = struct.Struct("<2q")


@contextmanager
def folder_locked(folder: Path) -> Iterator[None]:
    """Be the only process that makes room in the folder or takes some: for moments, never while images are decoded."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def filling(path: Path, tell: Tell) -> Iterator[Callable[[int, int], None]]:
    """Be the only process that fills a cache; wait for another that does. A killed one holds nothing.

    Args:
        path: of the cache's file. The lock is a file beside it, in which the process that fills says how far it is.
        tell: is told that this process waits, and how far the other is.

    Yields:
        What to call with the number of images done, and of how many: it passes that on to `tell` and whoever waits.
    """
    with path.with_suffix(".lock").open("a+b", buffering=0) as lock:
        waiting, total = False, 0
        while not _taken(lock):
            if not waiting:
                tell(Note("waiting for another process that fills the cache of decoded images"))
                waiting = True
            said = os.pread(lock.fileno(), _PROGRESS.size, 0)
            if len(said) == _PROGRESS.size:
                done, total = _PROGRESS.unpack(said)
                tell(Decoding(done, total))
            time.sleep(_POLL_S)
        if total:
            # Its last word may have come between two looks.
            tell(Decoding(total, total))
        lock.truncate(0)

        def advanced(done: int, total: int) -> None:
            lock.truncate(0)
            lock.write(_PROGRESS.pack(done, total))
            tell(Decoding(done, total))

        yield advanced


def in_use(path: Path) -> bool:
    """Whether a process holds a lock on a file."""
    try:
        # For writing: a lock on NFS wants that, though nothing is written.
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _taken(lock: FileIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the second: some of NFS say so
        return False
    return True
