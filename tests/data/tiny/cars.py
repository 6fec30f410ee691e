"""Write a tiny dataset in the real layout of Stanford Cars: real JPEGs, real .mat files, learnable."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from tests.data.tiny.drawing import SIZE, write_image

ANNOTATION = np.dtype([(name, "O") for name in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")])
TEST_ANNOTATION = np.dtype([(name, "O") for name in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "fname")])


def write_tiny_cars(
    root: Path,
    classes: int = 4,
    train_per_class: int = 6,
    test_per_class: int = 3,
    size: tuple[int, int] = SIZE,
) -> Path:
    """Write the layout under `root` and return it."""
    folder = Path(root) / "stanford_cars"
    (folder / "devkit").mkdir(parents=True)
    names = np.array([f"Maker {number} Coupe 20{number:02d}" for number in range(classes)], dtype=object)
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": names})
    draw = np.random.RandomState(0)
    train = _write_images(folder / "cars_train", np.tile(np.arange(classes), train_per_class), classes, size, draw)
    test = _write_images(folder / "cars_test", np.tile(np.arange(classes), test_per_class), classes, size, draw)
    savemat(folder / "devkit" / "cars_train_annos.mat", {"annotations": train})
    unlabelled = np.empty(len(test), dtype=TEST_ANNOTATION)
    for field in TEST_ANNOTATION.names or ():
        unlabelled[field] = test[field]
    savemat(folder / "devkit" / "cars_test_annos.mat", {"annotations": unlabelled})
    savemat(folder / "cars_test_annos_withlabels.mat", {"annotations": test})
    return Path(root)


def _write_images(
    folder: Path, labels: NDArray[np.int64], classes: int, size: tuple[int, int], draw: np.random.RandomState
) -> NDArray[np.void]:
    annotations = np.empty(len(labels), dtype=ANNOTATION)
    box = tuple(np.uint16(side) for side in (1, size[1] // 4 + 1, size[0], 3 * size[1] // 4))
    for number, label in enumerate(labels, start=1):
        name = f"{number:05d}.jpg"
        write_image(folder / name, int(label), classes, draw, size)
        annotations[number - 1] = (*box, np.uint8(label + 1), name)
    return annotations
