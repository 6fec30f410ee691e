"""Write tiny Fashion-MNIST, KMNIST and EMNIST in their real layouts: idx files, gzipped or not."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIDE = 28


def idx(array: NDArray[np.uint8]) -> bytes:
    """An array of bytes as an idx file holds it."""
    lengths = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return bytes((0, 0, 8, array.ndim)) + lengths + array.tobytes()


def write_tiny_fashion_mnist(root: Path) -> Path:
    """Write torchvision's layout under `root` and return it."""
    return _write(root, "FashionMNIST/raw", ("train", "t10k"), 10, 24, 3)


def write_tiny_fashion_of_debian(root: Path) -> Path:
    """Write the same files as Debian's package has them: gzipped, in the folder itself."""
    return _write(root, ".", ("train", "t10k"), 10, 24, 3, zipped=True)


def write_tiny_kmnist(root: Path) -> Path:
    """Write the layout under `root` and return it."""
    return _write(root, "KMNIST/raw", ("train", "t10k"), 10, 24, 3)


def write_tiny_emnist(root: Path) -> Path:
    """Write the layout under `root` and return it: of all 47 classes, transposed as published."""
    parts = ("emnist-balanced-train", "emnist-balanced-test")
    return _write(root, "EMNIST/raw", parts, 47, 24, 1, transposed=True)


def _write(
    root: Path,
    folder: str,
    parts: tuple[str, str],
    classes: int,
    train_per_class: int,
    test_per_class: int,
    transposed: bool = False,
    zipped: bool = False,
) -> Path:
    place = Path(root) / folder
    place.mkdir(parents=True, exist_ok=True)
    draw = np.random.RandomState(0)
    for part, per_class in zip(parts, (train_per_class, test_per_class), strict=True):
        labels = np.array(list(range(classes)) * per_class, np.uint8)
        images = np.stack([drawing(int(label), classes, draw) for label in labels])
        images = images.transpose(0, 2, 1) if transposed else images
        for kind, content in (("images-idx3", np.ascontiguousarray(images)), ("labels-idx1", labels)):
            path = place / f"{part}-{kind}-ubyte{'.gz' * zipped}"
            path.write_bytes(gzip.compress(idx(content)) if zipped else idx(content))
    return Path(root)


def drawing(label: int, classes: int, draw: np.random.RandomState) -> NDArray[np.uint8]:
    """Noise with a bar in its upper half whose length and brightness are the class's; uint8 (28, 28)."""
    pixels = draw.uniform(0, 40, (SIDE, SIDE))
    pixels[4:10, 2 : 4 + (SIDE - 6) * (1 + label) // classes] = 120 + 130 * label // classes
    return pixels.astype(np.uint8)
