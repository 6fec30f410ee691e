"""What the cache must know of image files before it decodes any: which files they are, and how large.

Many are asked at once: a network disk is slow to answer each.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bissl_ray.data.files.decoding import remedy_for
from bissl_ray.data.files.sources import ImageFiles
from bissl_ray.errors import BadInputError

_THREADS: Final = 16
_CHUNK: Final = 256


def identity(path: str) -> list[int]:
    """Size and times of last modification and last change, in nanoseconds, of a file (raises OSError)."""
    facts = os.stat(path)  # noqa: PTH116 - a Path for each of a million files takes longer than the call
    return [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]


def identities(files: ImageFiles) -> NDArray[np.int64]:
    """The `identity` of each file, (n, 3).

    Raises:
        BadInputError: one can't be read; names it.
    """

    def of_chunk(chunk: range) -> NDArray[np.int64]:
        return np.array([_identity(files.name(index)) for index in chunk], dtype=np.int64)

    with ThreadPoolExecutor(_THREADS) as threads:
        return np.concatenate([np.empty((0, 3), dtype=np.int64), *threads.map(of_chunk, _chunks(len(files)))])


def sizes_that_fit(files: ImageFiles, room: int) -> NDArray[np.int64]:
    """Width and height of the first images, (n, 2): of so many that no more of them fit into `room` bytes, or of all.

    Raises:
        BadInputError: one of them is no image; names it.
    """

    def of_chunk(chunk: range) -> NDArray[np.int64]:
        return np.array([files.size(index) for index in chunk], dtype=np.int64)

    found = [np.empty((0, 2), dtype=np.int64)]
    chunks = list(_chunks(len(files)))
    with ThreadPoolExecutor(_THREADS) as threads:
        for start in range(0, len(chunks), _THREADS):
            read = list(threads.map(of_chunk, chunks[start : start + _THREADS]))
            found += read
            room -= 3 * sum(int(sizes.prod(axis=1).sum()) for sizes in read)
            if room < 0:
                break
    return np.concatenate(found)


def _identity(path: str) -> list[int]:
    try:
        return identity(path)
    except OSError as error:
        raise BadInputError(f"{path}: this image can't be read ({error}); {remedy_for(error)}") from error


def _chunks(count: int) -> Iterator[range]:
    for start in range(0, count, _CHUNK):
        yield range(start, min(start + _CHUNK, count))
