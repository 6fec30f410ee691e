"""Where images come from: a tensor in memory, or files that are decoded when asked for."""

import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from bissl_ray.data.files.compact import Labels, Names
from bissl_ray.data.files.decoding import opened, to_rgb
from bissl_ray.data.spec import UNLABELLED, ImageSource, Label

if TYPE_CHECKING:
    from torch import Tensor


class TensorImages:
    """Images held in memory.

    Args:
        images: uint8 (N, 3, H, W).
        labels: one per image.
        origin: what they were read from, for `name`.
        places: where each stood there; None: in the order given.
    """

    def __init__(
        self, images: "Tensor", labels: Sequence[Label], origin: str = "image", places: Sequence[int] | None = None
    ) -> None:
        self.images = images
        self.labels = list(labels)
        self.origin = origin
        self.places = range(len(self.labels)) if places is None else places

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> "tuple[Tensor, Label]":
        return self.images[index], self.labels[index]

    def name(self, index: int) -> str:
        """Its place in what it was read from."""
        return f"{self.origin}, number {self.places[index]}"

    def select(self, indices: Sequence[int]) -> "TensorImages":
        """The images of these indices, copied."""
        chosen = [self.labels[i] for i in indices]
        return TensorImages(self.images[list(indices)], chosen, self.origin, [self.places[i] for i in indices])

    def hidden(self) -> "TensorImages":
        """The same images, not copied, without labels."""
        return TensorImages(self.images, [UNLABELLED] * len(self), self.origin, self.places)


class ImageFiles:
    """Image files, decoded to PIL RGB images whatever their own colour model.

    Args:
        folder: what the names are relative to.
        names: of the files, with slashes.
        labels: one per file.
        shorter_side: images whose shorter side is longer are reduced to this many pixels; None: none are.
    """

    def __init__(
        self, folder: Path, names: Sequence[str], labels: Sequence[Label], shorter_side: int | None = None
    ) -> None:
        self.folder = folder
        self.names = names if isinstance(names, Names) else Names(names)
        self.labels = labels if isinstance(labels, Labels) else Labels(labels)
        self.shorter_side = shorter_side

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Image.Image, Label]:
        with opened(self.name(index)) as image:
            decoded = to_rgb(image)
            size = self._reduced(decoded.size)
            if size != decoded.size:
                decoded = decoded.resize(size, Image.Resampling.BICUBIC)
        return decoded, self.labels[index]

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of an image, as the file's beginning gives them; nothing is decoded.

        Raises:
            BadInputError: it is no image.
        """
        with opened(self.name(index)) as image:
            return self._reduced(image.size)

    def name(self, index: int) -> str:
        """Its path."""
        return os.path.join(self.folder, self.names[index])  # noqa: PTH118 - asked for each of a million files

    def select(self, indices: Sequence[int]) -> "ImageFiles":
        """The files of these indices."""
        return ImageFiles(self.folder, self.names.select(indices), self.labels.select(indices), self.shorter_side)

    def hidden(self) -> "ImageFiles":
        """The same files without labels."""
        return ImageFiles(self.folder, self.names, Labels.hidden(len(self)), self.shorter_side)

    def reduced(self, shorter_side: int) -> "ImageFiles":
        """The same files, reduced to so many pixels when they are decoded; smaller images stay as they are."""
        return ImageFiles(self.folder, self.names, self.labels, shorter_side)

    def _reduced(self, size: tuple[int, int]) -> tuple[int, int]:
        shorter = min(size)
        if self.shorter_side is None or shorter <= self.shorter_side:
            return size
        width, height = (round(side * self.shorter_side / shorter) for side in size)
        return width, height


class JoinedImages:
    """Several sources, one after another."""

    def __init__(self, sources: Sequence[ImageSource]) -> None:
        self.sources = list(sources)
        self.labels = Labels(label for source in sources for label in source.labels)
        self._starts = list(accumulate((len(source) for source in sources), initial=0))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, Label]:
        which = self._which(index)
        return self.sources[which][index - self._starts[which]]

    def name(self, index: int) -> str:
        """As its source names it."""
        which = self._which(index)
        return self.sources[which].name(index - self._starts[which])

    def select(self, indices: Sequence[int]) -> ImageSource:
        """The images of these indices, in ascending order of their sources."""
        chosen = []
        for source, start, end in zip(self.sources, self._starts, self._starts[1:], strict=False):
            inside = [index - start for index in indices if start <= index < end]
            if inside:
                chosen.append(source.select(inside))
        return chosen[0] if len(chosen) == 1 else JoinedImages(chosen)

    def hidden(self) -> "JoinedImages":
        """The same images without labels."""
        return JoinedImages([source.hidden() for source in self.sources])

    def _which(self, index: int) -> int:
        return bisect_right(self._starts, index) - 1
