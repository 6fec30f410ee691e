"""Images in one file of raw bytes, mapped into memory: only those asked for are read."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bissl_ray.data.spec import UNLABELLED, Label

if TYPE_CHECKING:
    from torch import Tensor


class MappedImages:
    """Square uint8 images one after another in a file, each channel by channel and column by column.

    Args:
        path: the file. It is opened by each process that reads an image, at its first one.
        side: of an image, pixels.
        places: where each image stands in the file, from 0.
        labels: one per image.
    """

    def __init__(self, path: Path, side: int, places: Sequence[int], labels: Sequence[Label]) -> None:
        self.path = path
        self.side = side
        self.places = places
        self.labels = list(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> "tuple[Tensor, Label]":
        import torch

        columns = torch.tensor(self._images[self.places[index]])
        return columns.transpose(1, 2).contiguous(), self.labels[index]

    def name(self, index: int) -> str:
        """Its place in the file."""
        return f"{self.path}, number {self.places[index]}"

    def select(self, indices: Sequence[int]) -> "MappedImages":
        """The images of these indices, left in the file."""
        places = [self.places[i] for i in indices]
        return MappedImages(self.path, self.side, places, [self.labels[i] for i in indices])

    def hidden(self) -> "MappedImages":
        """The same images without labels."""
        return MappedImages(self.path, self.side, self.places, [UNLABELLED] * len(self))

    @cached_property
    def _images(self) -> Any:
        import numpy as np

        shape = (self.path.stat().st_size // (3 * self.side**2), 3, self.side, self.side)
        return np.memmap(self.path, dtype=np.uint8, mode="r", shape=shape)

    def __getstate__(self) -> dict[str, Any]:
        # A pickled map would be a copy of all its images.
        return {name: value for name, value in self.__dict__.items() if name != "_images"}
