"""Write a tiny SVHN in its real layout: .mat files of MATLAB 5, whose label of the digit 0 is 10."""

from pathlib import Path

import numpy as np
from scipy.io import savemat

from tests.data.tiny.drawing import draw_bar

SIDE = 32


def write_tiny_svhn(root: Path, train_per_class: int = 6, test_per_class: int = 2) -> Path:
    """Write the two files under `root` and return it."""
    Path(root).mkdir(parents=True, exist_ok=True)
    draw = np.random.RandomState(0)
    for part, per_class in (("train", train_per_class), ("test", test_per_class)):
        labels = list(range(10)) * per_class
        images = np.stack([np.asarray(draw_bar(label, 10, draw, (SIDE, SIDE))) for label in labels], axis=3)
        numbers = np.array([label or 10 for label in labels], np.uint8)[:, None]
        savemat(Path(root) / f"{part}_32x32.mat", {"X": images, "y": numbers}, do_compression=True)
    return Path(root)
