"""Images to measure input on: files of photographs, decoded images in memory, and a cache of one's own."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor

from bissl_ray.data.cache.folder import cache_folder
from bissl_ray.data.files.sources import ImageFiles
from bissl_ray.data.machine import usable_memory
from bissl_ray.errors import BadInputError

_BYTES_PER_SQUARE: Final = 2
"""Bytes of a decoded photograph over its longer side's square: three a pixel, and the other side is two thirds."""


@dataclass(frozen=True)
class InMemory:
    """Decoded images of any size, one after another in one tensor.

    Attributes:
        pixels: uint8, flat.
        regions: of each image where it begins, its height and its width.
        names: the files' paths.
    """

    pixels: Tensor
    regions: list[tuple[int, int, int]]
    names: list[str]

    @classmethod
    def of(cls, files: ImageFiles) -> "InMemory":
        """Decode files."""
        decoded = [np.asarray(files[index]) for index in range(len(files))]
        starts = accumulate((image.size for image in decoded), initial=0)
        regions = [(start, *image.shape[:2]) for start, image in zip(starts, decoded, strict=False)]
        # One tensor: each that is sent to a loader process takes a file descriptor, of which few can be sent.
        pixels = torch.from_numpy(np.concatenate([image.reshape(-1) for image in decoded]))
        return cls(pixels, regions, [files.name(index) for index in range(len(files))])

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Tensor:
        start, height, width = self.regions[index]
        return self.pixels[start : start + height * width * 3].view(height, width, 3).permute(2, 0, 1)

    def name(self, index: int) -> str:
        """The path of the file."""
        return self.names[index]

    def select(self, indices: Sequence[int]) -> "InMemory":
        """The images of these indices."""
        return InMemory(self.pixels, [self.regions[i] for i in indices], [self.names[i] for i in indices])


def check_photographs(count: int, size: int) -> None:
    """Raise BadInputError where so many photographs, decoded, are more than the memory here."""
    most = usable_memory()
    if count * size**2 * _BYTES_PER_SQUARE > most:
        raise BadInputError(
            f"{count} photographs of {size} px are more, decoded, than the {most / 1e9:.0f} GB of memory here: ask for "
            "fewer or smaller ones"
        )


def write_photographs(folder: Path, count: int, size: int) -> ImageFiles:
    """Write JPEG files: parts of two real photographs, so that they cost what photographs cost.

    Args:
        folder: where to.
        count: how many.
        size: of the longer side, pixels.

    Raises:
        BadInputError: as `check_photographs`.
    """
    check_photographs(count, size)
    draw = np.random.RandomState(0)
    photographs = [Image.fromarray(image) for image in load_sample_images().images]
    names = [f"{number:05d}.jpg" for number in range(count)]
    for number, name in enumerate(names):
        whole = photographs[number % len(photographs)]
        width, height = (int(side * draw.uniform(0.6, 1)) for side in whole.size)
        left, top = int(draw.uniform(0, whole.width - width)), int(draw.uniform(0, whole.height - height))
        scale = size / max(width, height)
        shape = max(1, round(width * scale)), max(1, round(height * scale))
        part = whole.resize(shape, box=(left, top, left + width, top + height))
        part.save(folder / name, quality=90)
    return ImageFiles(folder, names)


@contextmanager
def scratch_cache() -> Iterator[Path]:
    """A folder on the disk of the cache, for its own cache; $BISSL_RAY_CACHE meanwhile."""
    home = cache_folder().parent
    home.mkdir(parents=True, exist_ok=True)
    before = os.environ.get("BISSL_RAY_CACHE")
    with tempfile.TemporaryDirectory(dir=home, prefix="bench-") as folder:
        os.environ["BISSL_RAY_CACHE"] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["BISSL_RAY_CACHE"]
            else:
                os.environ["BISSL_RAY_CACHE"] = before
