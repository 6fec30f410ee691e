"""Write a tiny STL-10 in its real layout: images as raw bytes, column by column; labels from 1."""

from pathlib import Path

import numpy as np

from tests.data.tiny.drawing import draw_bar

CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
SIDE = 96


def write_tiny_stl10(root: Path, train_per_class: int = 5, test_per_class: int = 2, unlabelled: int = 25) -> Path:
    """Write the layout under `root` and return it."""
    folder = Path(root) / "stl10_binary"
    folder.mkdir(parents=True)
    draw = np.random.RandomState(0)
    for part, labels in (
        ("train", list(range(len(CLASSES))) * train_per_class),
        ("test", list(range(len(CLASSES))) * test_per_class),
        ("unlabeled", draw.randint(0, len(CLASSES), unlabelled).tolist()),
    ):
        with (folder / f"{part}_X.bin").open("wb") as images:
            for label in labels:
                pixels = np.asarray(draw_bar(label, len(CLASSES), draw, (SIDE, SIDE)))
                images.write(pixels.transpose(2, 1, 0).tobytes())
        if part != "unlabeled":
            (folder / f"{part}_y.bin").write_bytes(bytes(label + 1 for label in labels))
    (folder / "class_names.txt").write_text("\n".join(CLASSES) + "\n")
    return Path(root)
