"""idx files: an array behind a header, as MNIST and its kin are published, gzipped or not.

torchvision's reader takes plain files alone and refuses by assertions, so the few bytes of the header are read
here; tests hold the result against torchvision's. The header: two zero bytes, the type (8: uint8), the number of
dimensions, then the length of each as four bytes, the most significant first.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bissl_ray.errors import BadInputError

_UINT8 = 8
_AGAIN = "put the published file there"


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an array of bytes.

    Args:
        path: the file; gzipped where its name ends in .gz.
        dimensions: how many it must have: 3 for images, 1 for labels.

    Returns:
        A read-only array, of the shape in the header.

    Raises:
        BadInputError: it can't be unpacked, is no such file, or is shorter or longer than its header says.
    """
    content = _unpacked(path)
    start = 4 * (dimensions + 1)
    if content[:4] != bytes((0, 0, _UINT8, dimensions)) or len(content) < start:
        raise BadInputError(
            f"{path}: begins with the bytes {content[:4].hex() or 'of nothing'}, expected 000008{dimensions:02x} as of "
            f"an idx file of uint8 in {dimensions} dimension{'s' * (dimensions > 1)}; {_AGAIN}"
        )
    shape = [int(length) for length in np.frombuffer(content, ">u4", dimensions, 4)]
    if len(content) - start != math.prod(shape):
        raise BadInputError(
            f"{path}: holds {len(content) - start:,} bytes behind its header, which says {math.prod(shape):,} "
            f"({' x '.join(map(str, shape))}); it may have been cut short: {_AGAIN}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _unpacked(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            return file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise BadInputError(f"{path}: can't be unpacked ({error}); {_AGAIN}") from error
