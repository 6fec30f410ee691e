"""CIFAR: pickles as published are read, pickles that could run something are not, damage is named with its file."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from tests.data.tiny.cifar import python2_pickle, write_tiny_cifar10, write_tiny_cifar100

BATCH = "cifar-10-batches-py/data_batch_2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_cifar10(tmp_path)


def refusal(folder: Path) -> str:
    with pytest.raises(BadInputError) as caught:
        get_dataset("cifar10").open(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rewrite(folder: Path, **changes: object) -> Path:
    """Change entries of a batch; `None` takes one out."""
    path = folder / BATCH
    entries = {**pickle.loads(path.read_bytes(), encoding="latin1"), **changes}
    path.write_bytes(python2_pickle({key: value for key, value in entries.items() if value is not None}))
    return path


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_equals_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from torchvision import datasets

    (write_tiny_cifar10 if name == "cifar10" else write_tiny_cifar100)(tmp_path)
    reference = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
    # The sums of tiny files aren't those of the published ones.
    monkeypatch.setattr(datasets.cifar, "check_integrity", lambda path, md5=None: True)
    train, test = reference(tmp_path, train=True), reference(tmp_path, train=False)
    splits = get_dataset(name).open(tmp_path)
    assert splits.class_names == tuple(train.classes) and splits.classes == len(train.classes)
    assert splits.test.targets == test.targets
    for index in range(len(test)):
        assert np.array_equal(splits.test[index][0].permute(1, 2, 0).numpy(), np.asarray(test[index][0]))
    ours = {splits.train[i][0].numpy().tobytes(): splits.train.targets[i] for i in range(len(splits.train))}
    ours |= {splits.validation[i][0].numpy().tobytes(): label for i, label in enumerate(splits.validation.targets)}
    assert ours == {
        image.transpose(2, 0, 1).tobytes(): target for image, target in zip(train.data, train.targets, strict=True)
    }


def test_every_training_image_is_used(folder: Path) -> None:
    splits = get_dataset("cifar10").open(folder)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (32, 8, 12)
    assert len(splits.pretext) == 32
    image, _ = splits.train[0]
    assert image.shape == (3, 32, 32) and image.dtype == torch.uint8
    assert splits.train.name(0).startswith(f"{folder}/cifar-10-batches-py/data_batch_*, number ")


def test_pickles_of_newer_python_are_read(folder: Path) -> None:
    before = get_dataset("cifar10").open(folder)
    path = folder / BATCH
    for protocol in (2, 4, 5):
        path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes(), encoding="latin1"), protocol=protocol))
        assert get_dataset("cifar10").open(folder).train.targets == before.train.targets


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


def test_a_pickle_that_would_run_something_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / BATCH).write_bytes(pickle.dumps({"data": Harmful(), "labels": []}))
    message = refusal(folder)
    assert message.startswith(f"{folder / BATCH}: this pickle asks to run") and "mkdir" in message
    assert not (folder / "harm").exists()


def test_a_truncated_pickle_is_named(folder: Path) -> None:
    path = folder / BATCH
    path.write_bytes(path.read_bytes()[:5000])
    assert refusal(folder).startswith(f"{path}: can't be read as a pickle")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"labels": None}, "expected an entry 'labels'"),
        ({"labels": [0, 1, 2, 3, 0, 1, 2, 4]}, "image 7 has label 4, expected 0 .. 3"),
        ({"labels": [0, 1, 2]}, "holds 8 images and 3 labels"),
        ({"data": None}, "its entry 'data' is NoneType, expected uint8 of shape (n, 3072)"),
        ({"data": np.zeros((8, 768), np.uint8)}, "uint8 of shape (8, 768), expected uint8 of shape (n, 3072)"),
        ({"data": np.zeros((8, 3072))}, "float64 of shape (8, 3072)"),
    ],
)
def test_wrong_content_is_named(folder: Path, changes: dict[str, object], told: str) -> None:
    path = rewrite(folder, **changes)
    message = refusal(folder)
    assert message.startswith(f"{path}: ") and told in message


def test_a_class_without_images_is_named(folder: Path) -> None:
    for batch in range(1, 6):
        path = folder / f"cifar-10-batches-py/data_batch_{batch}"
        entries = pickle.loads(path.read_bytes(), encoding="latin1")
        path.write_bytes(python2_pickle({**entries, "labels": [min(label, 2) for label in entries["labels"]]}))
    assert refusal(folder).startswith(f"{folder}/cifar-10-batches-py: no training image shows class 3;")


def test_a_missing_batch_is_named(folder: Path) -> None:
    (folder / BATCH).unlink()
    with pytest.raises(BadInputError, match=f"missing: {BATCH}"):
        get_dataset("cifar10").open(folder)
