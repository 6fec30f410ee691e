"""STL-10: raw binaries are read as torchvision reads them, but mapped; files of a wrong size are named."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from bissl_ray.data import get_dataset
from bissl_ray.data.spec import Labelled
from bissl_ray.errors import BadInputError
from tests.data.tiny.stl10 import write_tiny_stl10

STL10 = get_dataset("stl10")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_stl10(tmp_path)


def refusal(folder: Path) -> str:
    with pytest.raises(BadInputError) as caught:
        STL10.open(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_equals_torchvision(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    monkeypatch.setattr(datasets.STL10, "_check_integrity", lambda self: True)
    reference = datasets.STL10(folder, "test")
    splits = STL10.open(folder)
    assert len(splits.test) == len(reference) == 20
    for index in range(len(reference)):
        image, label = splits.test[index]
        picture, target = reference[index]
        assert label == target and np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(picture))


def test_the_pretext_pool_is_unlabelled_and_training_images(folder: Path) -> None:
    splits = STL10.open(folder)
    assert (len(splits.train), len(splits.validation), len(splits.test), splits.classes) == (40, 10, 20, 10)
    assert not isinstance(splits.pretext, Labelled) and len(splits.pretext) == 25 + 40
    names = [splits.pretext.name(index) for index in range(65)]
    assert names[:25] == [f"{folder}/stl10_binary/unlabeled_X.bin, number {place}" for place in range(25)]
    assert names[25:] == [splits.train.name(index) for index in range(40)]


def test_images_stay_in_their_file_until_asked_for(folder: Path) -> None:
    train = STL10.open(folder).train
    before = train[3][0]
    pickled = pickle.dumps(train)
    assert len(pickled) < 5000
    assert np.array_equal(pickle.loads(pickled)[3][0], before)


def test_files_of_a_wrong_size_are_named(folder: Path) -> None:
    binaries = folder / "stl10_binary"
    whole = {path: path.read_bytes() for path in binaries.glob("*.bin")}
    for name in ("train_X.bin", "test_X.bin", "unlabeled_X.bin"):
        (binaries / name).write_bytes(whole[binaries / name][:-100])
        assert refusal(folder).startswith(f"{binaries / name}: holds ")
        (binaries / name).write_bytes(whole[binaries / name])
    (binaries / "train_y.bin").write_bytes(whole[binaries / "train_y.bin"][:-1])
    assert refusal(folder).startswith(f"{binaries / 'train_y.bin'}: holds 49 labels, and train_X.bin beside it 50")


@pytest.mark.parametrize("label", [0, 11])
def test_a_label_outside_the_classes(folder: Path, label: int) -> None:
    labels = folder / "stl10_binary" / "test_y.bin"
    labels.write_bytes(bytes([*labels.read_bytes()[:-1], label]))
    assert refusal(folder).startswith(f"{labels}: image 19 has label {label}, expected 1 .. 10")


def test_a_class_without_images_is_named(folder: Path) -> None:
    labels = folder / "stl10_binary" / "train_y.bin"
    labels.write_bytes(bytes(max(label, 2) for label in labels.read_bytes()))
    assert refusal(folder).startswith(f"{labels}: no training image shows class 0;")
