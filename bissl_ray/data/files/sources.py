"""Where images come from: a tensor in memory, a file of raw bytes, or files that are decoded when asked for."""

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from bissl_ray.config.data_choice import AS_SHOWN, Decoding
from bissl_ray.data.files.decoding import opened, to_rgb, upright_size
from bissl_ray.data.files.packed import Names
from bissl_ray.data.spec import Images, Labelled

if TYPE_CHECKING:
    from torch import Tensor


class TensorImages:
    """Images held in memory.

    Args:
        images: uint8 (N, 3, H, W).
        origin: what they were read from, for `name`.
        positions: where each stood there; None: in the order given.
    """

    def __init__(self, images: "Tensor", origin: str = "image", positions: Sequence[int] | None = None) -> None:
        self.images = images
        self.origin = origin
        self.positions = range(len(images)) if positions is None else positions

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> "Tensor":
        return self.images[index]

    def name(self, index: int) -> str:
        """Its place in what it was read from."""
        return f"{self.origin}, number {self.positions[index]}"

    def select(self, indices: Sequence[int]) -> "TensorImages":
        """The images of these indices, copied."""
        return TensorImages(self.images[list(indices)], self.origin, [self.positions[i] for i in indices])


class MappedImages:
    """Square uint8 images one after another in a file, each channel by channel and column by column.

    The file is mapped into memory: only images that are asked for are read.

    Args:
        path: the file. It is opened by each process that reads an image, at its first one.
        side: of an image, pixels.
        positions: where each image stands in the file, from 0.
    """

    def __init__(self, path: Path, side: int, positions: Sequence[int]) -> None:
        self.path = path
        self.side = side
        self.positions = positions

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> "Tensor":
        import torch

        columns = torch.tensor(self._images[self.positions[index]])
        return columns.transpose(1, 2).contiguous()

    def name(self, index: int) -> str:
        """Its place in the file."""
        return f"{self.path}, number {self.positions[index]}"

    def select(self, indices: Sequence[int]) -> "MappedImages":
        """The images of these indices, left in the file."""
        return MappedImages(self.path, self.side, [self.positions[i] for i in indices])

    @cached_property
    def _images(self) -> Any:
        import numpy as np

        shape = (self.path.stat().st_size // (3 * self.side**2), 3, self.side, self.side)
        return np.memmap(self.path, dtype=np.uint8, mode="r", shape=shape)

    def __getstate__(self) -> dict[str, Any]:
        # A pickled map would be a copy of all its images.
        return {name: value for name, value in self.__dict__.items() if name != "_images"}


class ImageFiles:
    """Image files, decoded to PIL RGB images whatever their own colour model.

    Args:
        folder: what the names are relative to.
        names: of the files, with slashes.
        decoding: how they are decoded.
    """

    def __init__(self, folder: Path, names: Sequence[str], decoding: Decoding = AS_SHOWN) -> None:
        self.folder = folder
        self.names = names if isinstance(names, Names) else Names(names)
        self.decoding = decoding

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Image.Image:
        with opened(self.name(index)) as image:
            decoded = to_rgb(image, self.decoding.upright)
            size = self._reduced(decoded.size)
            return decoded if size == decoded.size else decoded.resize(size, Image.Resampling.BICUBIC)

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of an image, as the file's beginning gives them; nothing is decoded.

        Raises:
            BadInputError: it is no image.
        """
        with opened(self.name(index)) as image:
            return self._reduced(upright_size(image) if self.decoding.upright else image.size)

    def name(self, index: int) -> str:
        """Its path."""
        return os.path.join(self.folder, self.names[index])  # noqa: PTH118 - asked for each of a million files

    def select(self, indices: Sequence[int]) -> "ImageFiles":
        """The files of these indices."""
        return ImageFiles(self.folder, self.names.select(indices), self.decoding)

    def decoded(self, decoding: Decoding) -> "ImageFiles":
        """The same files, decoded so."""
        return ImageFiles(self.folder, self.names, decoding)

    def _reduced(self, size: tuple[int, int]) -> tuple[int, int]:
        shorter, wanted = min(size), self.decoding.shorter_side
        if wanted is None or shorter <= wanted:
            return size
        width, height = (round(side * wanted / shorter) for side in size)
        return width, height


class JoinedImages:
    """Several sources, one after another."""

    def __init__(self, sources: Sequence[Images]) -> None:
        self.sources = list(sources)
        self._starts = list(accumulate((len(source) for source in sources), initial=0))

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Any:
        # As a list does: what is iterated over ends by it.
        index = range(len(self))[index]
        which = self._which(index)
        return self.sources[which][index - self._starts[which]]

    def name(self, index: int) -> str:
        """As its source names it."""
        which = self._which(index)
        return self.sources[which].name(index - self._starts[which])

    def select(self, indices: Sequence[int]) -> Images:
        """The images of these indices, which ascend."""
        chosen = []
        for source, start, end in zip(self.sources, self._starts, self._starts[1:], strict=False):
            inside = [index - start for index in indices if start <= index < end]
            if inside:
                chosen.append(source.select(inside))
        return chosen[0] if len(chosen) == 1 else JoinedImages(chosen)

    def _which(self, index: int) -> int:
        return bisect_right(self._starts, index) - 1


def joined(parts: Sequence[Labelled]) -> Labelled:
    """Several sources of labelled images, one after another."""
    targets = [target for part in parts for target in part.targets]
    return Labelled(JoinedImages([part.images for part in parts]), targets)


def leaves(images: Images) -> Iterator[Images]:
    """The sources that some images are joined from, in their order."""
    if isinstance(images, JoinedImages):
        for part in images.sources:
            yield from leaves(part)
    else:
        yield images
