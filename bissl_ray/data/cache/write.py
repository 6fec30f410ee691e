"""Write a file of decoded images, laid out as `cache/file.py` says: whole or not at all."""

import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bissl_ray.data.cache.file import HEADER, MARK
from bissl_ray.data.cache.folder import PART
from bissl_ray.data.files.sources import ImageFiles
from bissl_ray.data.machine import processors

_CHUNK = 16
_PAGE = 4096


@dataclass(frozen=True)
class Plan:
    """Where each image goes in a file to be written.

    Attributes:
        files: the images.
        index: for each image, where its pixels begin, height and width, int64; 0 where it isn't to be held.
        room: bytes that the file may take.
    """

    files: ImageFiles
    index: NDArray[np.int64]
    room: int

    @property
    def held(self) -> int:
        """How many images are to be held: the first so many."""
        return int((self.index[:, 0] > 0).sum())

    @property
    def length(self) -> int:
        """Bytes of the file; at least one image is to be held."""
        start, height, width = self.index[self.held - 1].tolist()
        return int(start + 3 * height * width)


def plan_decoded(files: ImageFiles, sizes: NDArray[np.int64], room: int) -> Plan:
    """Place the first images that fit into the room.

    Args:
        files: the images.
        sizes: width and height of the first of them, (n, 2): of all, or of more than there is room for.
        room: bytes that the file may take.
    """
    index = np.zeros((len(files), 3), dtype="<i8")
    ends = -(-(HEADER.size + index.nbytes) // _PAGE) * _PAGE + np.cumsum(3 * sizes.prod(axis=1))
    held = int(np.searchsorted(ends, room, side="right"))
    index[:held, 0] = (ends - 3 * sizes.prod(axis=1))[:held]
    index[:held, 1:] = sizes[:held, ::-1]
    return Plan(files, index, room)


@contextmanager
def reserved(path: Path, length: int) -> Iterator[FileIO]:
    """Take room on the disk beside a file, to write it there; what isn't renamed by the end is removed.

    Enter it under the folder's lock: its own lock then says to others, before they look, that it is in use.

    Args:
        path: of the file to be.
        length: in bytes.

    Raises:
        OSError: there is no such room.
    """
    aside = path.with_suffix(f".{uuid.uuid4().hex[:12]}{PART}")
    try:
        with aside.open("x+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # A full disk is met here, before the work.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, length)
            else:
                file.truncate(length)
            yield file
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def write_decoded(
    file: FileIO, path: Path, plan: Plan, unchanged: Callable[[int], bool], tell: Callable[[int, int], None]
) -> None:
    """Decode images and write the file, in threads: Pillow lets go of Python's lock meanwhile.

    Args:
        file: what `reserved` gave.
        path: the name that it gets when all of it is on the disk.
        plan: which images go where.
        unchanged: whether the file of an image is still what it was when `path` was chosen; else it isn't held.
        tell: called with the number of images done, and of how many.

    Raises:
        BadInputError: an image can't be decoded.
        OSError: the file can't be written.
    """
    index, held = plan.index.copy(), plan.held

    def decode(first: int) -> int:
        chosen = range(first, min(first + _CHUNK, held))
        for place in chosen:
            pixels = np.asarray(plan.files[place])
            if pixels.shape[:2] == tuple(index[place, 1:]) and unchanged(place):
                _write_at(file, pixels.tobytes(), int(index[place, 0]))
            else:
                index[place] = 0
        return len(chosen)

    done = 0
    tell(done, held)
    with ThreadPoolExecutor(processors()) as threads:
        try:
            for chunk in as_completed([threads.submit(decode, n) for n in range(0, held, _CHUNK)]):
                done += chunk.result()
                tell(done, held)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    _write_at(file, HEADER.pack(MARK, uuid.uuid4().bytes, len(index), plan.room, plan.length), 0)
    _write_at(file, index.tobytes(), HEADER.size)
    os.fsync(file.fileno())
    Path(file.name).replace(path)


def _write_at(file: FileIO, content: bytes, start: int) -> None:
    """Write all of it: the operating system may take less at a time."""
    rest = memoryview(content)
    while rest:
        written = os.pwrite(file.fileno(), rest, start)
        start, rest = start + written, rest[written:]
