"""Write a file of decoded images, laid out as `cache_file` says: whole or not at all."""

import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bissl_ray.data.cache_file import HEADER, MARK
from bissl_ray.data.sources import ImageFiles

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


def plan_decoded(files: ImageFiles, room: int) -> Plan:
    """Place the first images that fit into the room.

    Raises:
        BadInputError: a file is no image.
    """
    index = np.zeros((len(files), 3), dtype="<i8")
    start = -(-(HEADER.size + index.nbytes) // _PAGE) * _PAGE
    for place in range(len(files)):
        width, height = files.size(place)
        end = start + 3 * width * height
        if end > room:
            break
        index[place] = start, height, width
        start = end
    return Plan(files, index, room)


def write_decoded(path: Path, plan: Plan, unchanged: Callable[[int], bool], done: Callable[[int], None]) -> None:
    """Decode images and write the file, in threads: Pillow lets go of Python's lock meanwhile.

    Args:
        path: of the file.
        plan: which images go where.
        unchanged: whether the file of an image is still what it was when `path` was chosen; else it isn't held.
        done: called with the number of further images done.

    Raises:
        BadInputError: an image can't be decoded.
        OSError: the file can't be written; what was written of it is removed.
    """
    aside = path.with_suffix(f".{os.getpid()}.part")
    index, held = plan.index.copy(), plan.held

    def decode(first: int) -> int:
        chosen = range(first, min(first + _CHUNK, held))
        for place in chosen:
            pixels = np.asarray(plan.files[place][0])
            if pixels.shape[:2] == tuple(index[place, 1:]) and unchanged(place):
                _write_at(file, pixels.tobytes(), int(index[place, 0]))
            else:
                index[place] = 0
        return len(chosen)

    try:
        with aside.open("w+b", buffering=0) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, plan.length)  # a full disk is met here, before the work
            with ThreadPoolExecutor(_processors()) as threads:
                try:
                    for chunk in as_completed([threads.submit(decode, n) for n in range(0, held, _CHUNK)]):
                        done(chunk.result())
                except BaseException:
                    threads.shutdown(cancel_futures=True)
                    raise
            build = uuid.uuid4().bytes
            _write_at(file, HEADER.pack(MARK, build, len(index), plan.room, plan.length), 0)
            _write_at(file, index.tobytes(), HEADER.size)
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _write_at(file: FileIO, content: bytes, start: int) -> None:
    """Write all of it: the operating system may take less at a time."""
    rest = memoryview(content)
    while rest:
        written = os.pwrite(file.fileno(), rest, start)
        start, rest = start + written, rest[written:]


def _processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
