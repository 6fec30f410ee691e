"""Decode once: a cache of decoded images that all trials, workers and loader processes of a node share.

What is held are pixels as decoding gives them, so that results are the same bits with the cache, without it, and with
only half of the images in it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bissl_ray.config.data_choice import AS_SHOWN
from bissl_ray.data.cache.file import DecodedFile
from bissl_ray.data.cache.fill import open_or_fill
from bissl_ray.data.cache.news import OnStderr, Tell
from bissl_ray.data.files.changed import with_images_changed
from bissl_ray.data.files.sources import ImageFiles, leaves
from bissl_ray.data.machine import usable_memory
from bissl_ray.data.spec import DatasetSplits, Images

_TRAINED_ON: Final = ("train", "validation", "pretext")
"""What is held. What is scored and supervised comes first: of a large pool, there may be room for a part only."""


class CachedImages:
    """Image files whose pixels come from the cache, where it holds them.

    Args:
        files: the images.
        decoded: the cache; None where it is gone.
        positions: of each image in the cache.
    """

    def __init__(self, files: ImageFiles, decoded: DecodedFile | None, positions: NDArray[np.int64]) -> None:
        self.files = files
        self.decoded = decoded
        self.positions = positions

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Any:
        image = None if self.decoded is None else self.decoded.image(int(self.positions[index]))
        return self.files[index] if image is None else image

    def name(self, index: int) -> str:
        """Its path."""
        return self.files.name(index)

    def select(self, indices: Sequence[int]) -> "CachedImages":
        """The files of these indices, from the same cache."""
        return CachedImages(self.files.select(indices), self.decoded, self.positions[list(indices)])


def cached_splits(splits: DatasetSplits, limit_gib: float | None, tell: Tell | None = None) -> DatasetSplits:
    """Let a dataset's image files come from the node's cache; it is filled first, where they aren't in it yet.

    Test images are looked at too seldom to be held. Sources in memory stay as they are.

    Args:
        splits: the dataset, its files decoded as they are to be (`data.opening.decoded`).
        limit_gib: most that the node's cache may take, all datasets together; 0: no cache; None: a quarter of the
            memory that this process may use.
        tell: is told how far the filling is, and what a person should know; None: standard error.

    Returns:
        The same splits.

    Raises:
        BadInputError: an image can't be decoded, or the cache's folder is none.
    """
    limit = usable_memory() // 4 if limit_gib is None else int(limit_gib * 2**30)
    if not limit:
        return splits
    held = [leaf for part in _TRAINED_ON for leaf in leaves(splits.images(part)) if isinstance(leaf, ImageFiles)]
    tell = OnStderr() if tell is None else tell
    caches = {files.folder: _Cache(files, open_or_fill(files, limit, tell)) for files in _by_folder(held)}
    return with_images_changed(splits, _TRAINED_ON, lambda leaf: caches[leaf.folder].of(leaf))


class _Cache:
    """The cache of one folder's images."""

    def __init__(self, files: ImageFiles, decoded: DecodedFile | None) -> None:
        self.decoded = decoded
        self.positions = {name: place for place, name in enumerate(files.names)} if decoded else {}

    def of(self, leaf: ImageFiles) -> Images:
        """Some of the images, from the cache as far as there is one."""
        if self.decoded is None:
            return leaf
        return CachedImages(leaf, self.decoded, np.array([self.positions[name] for name in leaf.names], dtype=np.int64))


def _by_folder(held: Sequence[ImageFiles]) -> list[ImageFiles]:
    """Each file once, in an order that doesn't depend on how the splits were drawn."""
    names: dict[Path, set[str]] = {}
    for leaf in held:
        names.setdefault(leaf.folder, set()).update(leaf.names)
    decoding = held[0].decoding if held else AS_SHOWN
    return [ImageFiles(folder, sorted(inside), decoding) for folder, inside in names.items()]
