"""One file of decoded images: written whole (see `cache/write.py`), mapped into memory by every process that reads it.

Layout, integers little-endian: a header of 64 bytes (mark, build, number of images, room it was built for, length of
the file), then for each image three int64 (where its pixels begin, height, width; 0 where it isn't held), then the
pixels, uint8 (height, width, 3). A file appears under its name when it is complete and on the disk, and never changes
afterwards. Who reads it holds a shared lock, so that `cache_folder` doesn't remove what is in use.
"""

import fcntl
import os
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HEADER = struct.Struct("<8s16s3q16x")
MARK = b"BISSLIM1"


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
            OSError: there is none, or it is no such file as this class reads.
        """
        self.path = path
        self._file = path.open("rb")
        try:
            self._map(build)
        except BaseException:
            self._file.close()
            raise

    def _map(self, build: bytes | None) -> None:
        # Waits for who looks whether it is in use: a moment.
        fcntl.flock(self._file, fcntl.LOCK_SH)
        header = self._file.read(HEADER.size)
        length = os.fstat(self._file.fileno()).st_size
        if len(header) < HEADER.size:
            raise OSError(f"{self.path}: too short")
        mark, self.build, count, self.room, expected = HEADER.unpack(header)
        if mark != MARK or length != expected or build not in (None, self.build):
            raise OSError(f"{self.path}: another file than expected")
        pixels = np.memmap(self._file, np.uint8, "r")
        # As a plain array: each row of a memmap would be one again, which takes longer than all else in `image`.
        index = pixels[HEADER.size : HEADER.size + 24 * count].view("<i8", np.ndarray)
        self._index: NDArray[np.int64] = index.reshape(count, 3)
        self.complete = bool((self._index[:, 0] > 0).all())
        with warnings.catch_warnings():
            # Nothing writes to an image; if something did, the operating system would end the process.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self._pixels = torch.from_numpy(pixels)

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
