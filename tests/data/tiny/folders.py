"""Write tiny datasets that are folders of images by class: ImageNet, and a person's own."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.data.tiny.drawing import SIZE, write_image

WNIDS = ("n01440764", "n01443537", "n01484850", "n01491361")


def write_tiny_imagenet(root: Path, train_per_class: int = 13, val_per_class: int = 3) -> Path:
    """Write ImageNet's layout under `root` and return it."""
    draw = np.random.RandomState(0)
    for label, wnid in enumerate(WNIDS):
        for number in range(train_per_class):
            path = Path(root) / "imagenet" / "train" / wnid / f"{wnid}_{number}.JPEG"
            write_image(path, label, len(WNIDS), draw)
        for number in range(val_per_class):
            name = f"ILSVRC2012_val_{number * len(WNIDS) + label + 1:08d}.JPEG"
            write_image(Path(root) / "imagenet" / "val" / wnid / name, label, len(WNIDS), draw)
    return Path(root)


def write_tiny_folder(root: Path, classes: int = 4, per_class: int = 10, unlabelled: int = 6) -> Path:
    """Write class folders under `root`, and images without labels, and return it."""
    draw = np.random.RandomState(0)
    for label in range(classes):
        for number in range(per_class):
            write_image(Path(root) / f"kind{label}" / f"{number}.jpg", label, classes, draw)
    for number in range(unlabelled):
        write_image(Path(root) / "unlabelled" / f"{number}.jpg", number % classes, classes, draw)
    return Path(root)


def write_split_folder(root: Path, per_class: Mapping[str, int], classes: int = 3) -> Path:
    """Write a folder that is split by hand, such as {"train": 5, "test": 2} images per class, and return it."""
    draw = np.random.RandomState(0)
    for part, count in per_class.items():
        for label in range(classes):
            for number in range(count):
                path = Path(root) / part / f"kind{label}" / f"{number}.png"
                write_image(path, label, classes, draw, (SIZE[1], SIZE[0]))
    return Path(root)
