"""Where images come from: a tensor in memory, or files that are decoded when asked for."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from bissl_ray.errors import BadInputError


class TensorImages:
    """Images held in memory, uint8 (N, 3, H, W)."""

    def __init__(self, images: Tensor, labels: Sequence[int]) -> None:
        self.images = images
        self.labels = list(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], self.labels[index]


class ImageFiles:
    """Image files, decoded to PIL RGB images whatever their own colour model."""

    def __init__(self, folder: Path, names: Sequence[str], labels: Sequence[int]) -> None:
        self.folder = folder
        self.names = list(names)
        self.labels = list(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        path = self.folder / self.names[index]
        try:
            with Image.open(path) as image:
                return image.convert("RGB"), self.labels[index]
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise BadInputError(f"{path}: this image can't be decoded ({error}); put an intact copy there") from error
