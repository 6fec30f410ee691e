"""One file of decoded images: written whole by threads, mapped into memory by every process that reads it.

Layout, integers little-endian: a header of 64 bytes (mark, build, number of images, room it was built for, length of
the file), then for each image three int64 (where its pixels begin, height, width; 0 where it isn't held), then the
pixels, uint8 (height, width, 3). A file appears under its name when it is complete and on the disk, and never changes
afterwards. Who reads it holds a shared lock, so that `cache_folder` doesn't remove what is in use.
"""

import fcntl
import os
import struct
import uuid
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bissl_ray.data.processors import processors
from bissl_ray.data.sources import ImageFiles

_HEADER = struct.Struct("<8s16s3q16x")
_MARK = b"BISSLIM1"
_CHUNK = 16
_PAGE = 4096


class DecodedFile:
    """Decoded images by their place in the list that the file was made of; picklable: another process maps it itself.

    Attributes:
        path: the file.
        build: tells it from another one that took its place.
        room: bytes that it was allowed to take.
        complete: whether every image is held.
    """

    def __init__(self, path: Path, build: bytes | None = None) -> None:
        """Map a file.

        Args:
            path: the file.
            build: what `build` must be; None: anything.

        Raises:
            OSError: there is none, it is being removed, or it is no such file as this class writes.
        """
        self.path = path
        self._file = path.open("rb")
        try:
            self._map(build)
        except BaseException:
            self._file.close()
            raise

    def _map(self, build: bytes | None) -> None:
        fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        header = self._file.read(_HEADER.size)
        length = os.fstat(self._file.fileno()).st_size
        if len(header) < _HEADER.size:
            raise OSError(f"{self.path}: too short")
        mark, self.build, count, self.room, expected = _HEADER.unpack(header)
        if mark != _MARK or length != expected or build not in (None, self.build):
            raise OSError(f"{self.path}: another file than expected")
        pixels = np.memmap(self._file, np.uint8, "r")
        self._index = pixels[_HEADER.size : _HEADER.size + 24 * count].view("<i8").reshape(count, 3)
        self.complete = bool((self._index[:, 0] > 0).all())
        with warnings.catch_warnings():
            # Nothing writes to an image; if something did, the operating system would end the process.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self._pixels = torch.from_numpy(pixels)

    @property
    def held(self) -> int:
        """How many images it holds."""
        return int((self._index[:, 0] > 0).sum())

    def image(self, place: int) -> Tensor | None:
        """An image as uint8 (3, H, W), mapped and not copied; None where it isn't held."""
        start, height, width = self._index[place].tolist()
        if not start:
            return None
        return self._pixels[start : start + height * width * 3].view(height, width, 3).permute(2, 0, 1)

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_or_nothing, (self.path, self.build)


def _open_or_nothing(path: Path, build: bytes) -> DecodedFile | None:
    """Map a file in a loader process; None where it is gone, and the images are decoded there."""
    try:
        return DecodedFile(path, build)
    except OSError:
        return None


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
    start = -(-(_HEADER.size + index.nbytes) // _PAGE) * _PAGE
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
            with ThreadPoolExecutor(processors()) as threads:
                try:
                    for chunk in as_completed([threads.submit(decode, n) for n in range(0, held, _CHUNK)]):
                        done(chunk.result())
                except BaseException:
                    threads.shutdown(cancel_futures=True)
                    raise
            build = uuid.uuid4().bytes
            _write_at(file, _HEADER.pack(_MARK, build, len(index), plan.room, plan.length), 0)
            _write_at(file, index.tobytes(), _HEADER.size)
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
