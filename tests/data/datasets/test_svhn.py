"""SVHN: read as torchvision does, damage is named with its file."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from torchvision import datasets

from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from tests.data.tiny.svhn import write_tiny_svhn


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_svhn(tmp_path)


def refusal(folder: Path) -> str:
    with pytest.raises(BadInputError) as caught:
        get_dataset("svhn").open(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_equals_torchvision(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The sums of tiny files aren't those of the published ones.
    monkeypatch.setattr(datasets.SVHN, "_check_integrity", lambda self: True)
    train, test = datasets.SVHN(folder, "train"), datasets.SVHN(folder, "test")
    splits = get_dataset("svhn").open(folder)
    assert (len(splits.pretext), len(splits.train), len(splits.validation), len(splits.test)) == (58, 58, 2, 20)
    assert splits.test.targets == test.labels.tolist() and splits.test.targets[:3] == [0, 1, 2]
    assert all(np.array_equal(splits.test[i][0].numpy(), test.data[i]) for i in range(len(test)))
    ours = [(part[i][0], part.targets[i]) for part in (splits.train, splits.validation) for i in range(len(part))]
    theirs = {image.tobytes(): label for image, label in zip(train.data, train.labels.tolist(), strict=True)}
    assert {image.numpy().tobytes(): label for image, label in ours} == theirs
    assert splits.train.name(0).startswith(f"{folder}/train_32x32.mat, number ")


def test_further_images_beside_them_are_not_read(folder: Path) -> None:
    mark = get_dataset("svhn").open(folder).fingerprint
    (folder / "extra_32x32.mat").write_bytes((folder / "train_32x32.mat").read_bytes())
    assert get_dataset("svhn").open(folder).fingerprint == mark


@pytest.mark.parametrize("content", [b"", b"<html>", None])
def test_a_damaged_file_is_named(folder: Path, content: bytes | None) -> None:
    path = folder / "train_32x32.mat"
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    assert refusal(folder).startswith(f"{path}: can't be read as images 'X' with labels 'y' (")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"y": None}, "can't be read as images 'X' with labels 'y' (KeyError"),
        ({"y": np.array([[1], [2]])}, "holds 60 images and 2 labels"),
        ({"y": np.array([[1]] * 59 + [[11]])}, "image 59 has label 11, expected 1 .. 10"),
        ({"y": np.ones((60, 1))}, "no training image shows class 0, 2, 3, 4, 5 and 4 more"),
        ({"X": np.zeros((28, 28, 3, 60), np.uint8)}, "its 'X' is uint8 of shape (28, 28, 3, 60), expected uint8"),
    ],
)
def test_wrong_content_is_named(folder: Path, changes: dict[str, np.ndarray | None], told: str) -> None:
    path = folder / "train_32x32.mat"
    content = {**{name: loadmat(path)[name] for name in ("X", "y")}, **changes}
    savemat(path, {name: value for name, value in content.items() if value is not None})
    assert refusal(folder).startswith(f"{path}: {told}")
