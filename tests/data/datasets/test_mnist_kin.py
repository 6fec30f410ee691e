"""Fashion-MNIST, KMNIST and EMNIST: read as torchvision does, from each place that they may have; damage is named."""

import gzip
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.data import get_dataset
from bissl_ray.data.checks.dataset import check_dataset
from bissl_ray.data.datasets import registry
from bissl_ray.errors import BadInputError
from tests.data.tiny import write_tiny
from tests.data.tiny.mnist_kin import idx, write_tiny_fashion_mnist, write_tiny_fashion_of_debian

NAMES = ("fashion_mnist", "kmnist", "emnist")
RAW = "FashionMNIST/raw"
IMAGES, LABELS = f"{RAW}/train-images-idx3-ubyte", f"{RAW}/train-labels-idx1-ubyte"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_fashion_mnist(tmp_path)


def refusal(folder: Path, name: str = "fashion_mnist") -> str:
    with pytest.raises(BadInputError) as caught:
        get_dataset(name).open(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_equals_torchvision(tmp_path: Path, name: str) -> None:
    folder = write_tiny(name, tmp_path)
    if name == "emnist":
        train, test = (datasets.EMNIST(folder, "balanced", train=each) for each in (True, False))
    else:
        reader = {"fashion_mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}[name]
        train, test = (reader(folder, train=each) for each in (True, False))
    splits = get_dataset(name).open(folder)
    assert splits.class_names == tuple(train.classes) and splits.classes == len(train.classes)
    assert splits.test.targets == test.targets.tolist()
    for index in range(len(test)):
        grey = test.data[index].T if name == "emnist" else test.data[index]
        assert torch.equal(splits.test[index][0], grey.expand(3, -1, -1))
    ours = [(part[i][0][0], part.targets[i]) for part in (splits.train, splits.validation) for i in range(len(part))]
    upright = [image.T if name == "emnist" else image for image in train.data]
    theirs = {image.numpy().tobytes(): label for image, label in zip(upright, train.targets.tolist(), strict=True)}
    assert {image.numpy().tobytes(): label for image, label in ours} == theirs


def test_a_twenty_fourth_validates_and_the_pool_is_what_is_trained_on(folder: Path) -> None:
    splits = get_dataset("fashion_mnist").open(folder)
    assert [len(part) for part in (splits.pretext, splits.train, splits.validation, splits.test)] == [230, 230, 10, 30]
    assert np.bincount(splits.validation.targets).tolist() == [1] * 10
    image, _ = splits.train[0]
    assert image.shape == (3, 28, 28) and image.dtype == torch.uint8
    assert splits.train.name(0).startswith(f"{folder}/{IMAGES}, number ")
    for name in NAMES:
        train, validation, _ = get_dataset(name).sizes
        assert round((train + validation) / 24) == validation


def test_the_same_files_are_the_same_data_wherever_they_lie_and_zipped_or_not(tmp_path: Path) -> None:
    spec = get_dataset("fashion_mnist")
    mark = spec.open(write_tiny_fashion_mnist(tmp_path / "torchvision")).fingerprint
    zipped = write_tiny_fashion_of_debian(tmp_path / "debian")
    assert len(list(zipped.iterdir())) == 4
    assert spec.open(zipped).fingerprint == mark
    assert spec.open(tmp_path / "torchvision" / RAW).fingerprint == mark
    with pytest.raises(BadInputError, match="one folder further up: give --data-dir"):
        spec.open(tmp_path / "torchvision" / "FashionMNIST")


def test_what_is_cut_short_or_no_such_file_is_named(folder: Path) -> None:
    path = folder / IMAGES
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert refusal(folder).startswith(
        f"{path}: holds 188,060 bytes behind its header, which says 188,160 (240 x 28 x 28)"
    )
    path.write_bytes(whole + b"more")
    assert "holds 188,164 bytes" in refusal(folder)
    for content in (b"", whole[:7], (folder / LABELS).read_bytes(), b"<html>"):
        path.write_bytes(content)
        assert refusal(folder).startswith(f"{path}: begins with the bytes ")
    path.unlink()
    packed = gzip.compress(whole)
    for content in (packed[: len(packed) // 2], b"<html>", packed[:500] + b"?" + packed[501:]):
        path.with_name(f"{path.name}.gz").write_bytes(content)
        assert refusal(folder).startswith(f"{path}.gz: can't be unpacked (")
    path.with_name(f"{path.name}.gz").write_bytes(packed)
    assert len(get_dataset("fashion_mnist").open(folder).test) == 30


@pytest.mark.parametrize(
    ("path", "array", "told"),
    [
        (LABELS, np.zeros(7, np.uint8), "holds 7 labels, and train-images-idx3-ubyte 240 images"),
        (LABELS, np.full(240, 10, np.uint8), "image 0 has label 10, expected 0 .. 9"),
        (IMAGES, np.zeros((240, 32, 32), np.uint8), "its images are 32 x 32 pixels, expected 28 x 28"),
    ],
)
def test_wrong_content_is_named(folder: Path, path: str, array: np.ndarray, told: str) -> None:
    (folder / path).write_bytes(idx(array))
    assert refusal(folder).startswith(f"{folder / path}: {told}")


def test_a_class_without_images_is_named(folder: Path) -> None:
    (folder / LABELS).write_bytes(idx(np.arange(240, dtype=np.uint8) % 9))
    assert "no training image shows class Ankle boot;" in refusal(folder)


def test_files_of_mnist_are_not_taken_for_clothes(folder: Path, tmp_path: Path) -> None:
    """Of full size, in a folder whose name says nothing."""
    raw = folder / RAW
    (raw / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((60_000, 28, 28), np.uint8)))
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(60_000, dtype=np.int64).astype(np.uint8) % 10))
    assert "these are not the labels of Fashion-MNIST; MNIST's and KMNIST's" in refusal(raw)
    assert len(get_dataset("fashion_mnist").open(folder).validation) == 2500


def test_sums_are_those_of_the_files_that_are_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sums = [(path, md5((folder / path).read_bytes()).hexdigest()) for path in (IMAGES, LABELS)]
    known = (*sums, (IMAGES, "another release's"), (f"{IMAGES}.gz", "not there"))
    spec = replace(get_dataset("fashion_mnist"), sizes=(230, 10, 30), checksums=known)
    monkeypatch.setitem(registry.DATASETS, "fashion_mnist", spec)
    choice = DataChoice("fashion_mnist", data_dir=str(folder))
    assert check_dataset(choice, False, lambda *_: None).problems == []
    content = bytearray((folder / IMAGES).read_bytes())
    content[-1] ^= 1
    (folder / IMAGES).write_bytes(content)
    (problem,) = check_dataset(choice, False, lambda *_: None).problems
    assert problem.examples == [f"{folder}/{IMAGES}"]
