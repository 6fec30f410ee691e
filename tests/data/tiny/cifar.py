"""Write tiny CIFAR-10 and CIFAR-100 in their real layouts: pickles as Python 2 wrote them."""

import io
import pickle
import struct
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tests.data.tiny.drawing import draw_bar

SIDE = 32


class _Python2Pickler(pickle._Pickler):
    """Writes text and bytes alike as Python 2's `str`."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def _save_string(self, value: str | bytes) -> None:
        content = value.encode("latin1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch[str] = _save_string
    dispatch[bytes] = _save_string


def python2_pickle(content: Any) -> bytes:
    """Pickle numbers, text and arrays as the published files are."""
    stream = io.BytesIO()
    _Python2Pickler(stream, protocol=2).dump(content)
    return stream.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.")


def write_tiny_cifar10(root: Path, classes: int = 4, per_batch: int = 2, test_per_class: int = 3) -> Path:
    """Write the layout under `root` and return it."""
    folder = Path(root) / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    draw = np.random.RandomState(0)
    for batch in range(1, 6):
        images = _images(classes, per_batch, draw)
        _write(folder / f"data_batch_{batch}", {"batch_label": f"training batch {batch} of 5", **images})
    images = _images(classes, test_per_class, draw)
    _write(folder / "test_batch", {"batch_label": "testing batch 1 of 1", **images})
    names = [f"class{number}" for number in range(classes)]
    _write(folder / "batches.meta", {"num_cases_per_batch": per_batch * classes, "label_names": names, "num_vis": 3072})
    return Path(root)


def write_tiny_cifar100(root: Path, classes: int = 6, train_per_class: int = 10, test_per_class: int = 3) -> Path:
    """Write the layout under `root` and return it; two classes make a coarse one."""
    folder = Path(root) / "cifar-100-python"
    folder.mkdir(parents=True)
    draw = np.random.RandomState(0)
    for name, per_class in (("train", train_per_class), ("test", test_per_class)):
        images = _images(classes, per_class, draw)
        fine = images.pop("labels")
        images |= {"fine_labels": fine, "coarse_labels": [label // 2 for label in fine]}
        _write(folder / name, {"batch_label": f"{name}ing batch 1 of 1", **images})
    names = {"fine_label_names": [f"fine{number}" for number in range(classes)]}
    _write(folder / "meta", {**names, "coarse_label_names": [f"coarse{number}" for number in range(classes // 2)]})
    return Path(root)


def _images(classes: int, per_class: int, draw: np.random.RandomState) -> dict[str, Any]:
    labels = list(range(classes)) * per_class
    pixels = [np.asarray(draw_bar(label, classes, draw, (SIDE, SIDE))).transpose(2, 0, 1).ravel() for label in labels]
    names = [f"class{label}_s_{place:06d}.png" for place, label in enumerate(labels)]
    return {"labels": labels, "data": np.stack(pixels), "filenames": names}


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_bytes(python2_pickle(content))
