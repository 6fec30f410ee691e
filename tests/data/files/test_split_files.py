"""Published index files: read as they are, and every kind of damage named with file and line."""

import pytest

from bissl_ray.data import SplitChoice, get_dataset
from bissl_ray.data.files.split_files import read_split
from bissl_ray.errors import BadInputError
from tests.data.tiny import write_tiny
from tests.data.tiny.cars import write_tiny_cars


def write(folder, train, validation):
    (folder / "cars_train_split.txt").write_text(train)
    (folder / "cars_val_split.txt").write_text(validation)
    return folder


def test_indices_are_those_of_the_files(tmp_path):
    train, validation = read_split(write(tmp_path, "3\n0\n\n7\n", "1\n"), "cars", 8)
    assert (train.tolist(), validation.tolist()) == ([0, 3, 7], [1])
    assert read_split(tmp_path, "food", 8) is None


@pytest.mark.parametrize(
    ("train", "validation", "told"),
    [
        ("0\n8\n", "1\n", r"cars_train_split.txt, line 2: found index 8, expected at most 7"),
        (
            "0\n1\n",
            "2\n1\n",
            r"cars_val_split.txt, line 2: index 1 occurs twice, first in cars_train_split.txt, line 2",
        ),
        ("0\n0\n", "2\n", r"cars_train_split.txt, line 2: index 0 occurs twice"),
        ("0\nx1\n", "2\n", r"line 2: found 'x1', expected the index"),
        ("0\n-1\n", "2\n", r"line 2: found '-1'"),
        ("0\n", "\n", r"cars_val_split.txt holds no index"),
    ],
)
def test_damage_is_named(tmp_path, train, validation, told):
    with pytest.raises(BadInputError, match=told):
        read_split(write(tmp_path, train, validation), "cars", 8)


def test_half_a_split_and_no_folder_are_refused(tmp_path):
    write(tmp_path, "0\n", "1\n")
    (tmp_path / "cars_val_split.txt").unlink()
    with pytest.raises(BadInputError, match=r"cars_val_split.txt is missing beside cars_train_split.txt"):
        read_split(tmp_path, "cars", 8)
    with pytest.raises(BadInputError, match=r"is no folder"):
        read_split(tmp_path / "nowhere", "cars", 8)


def test_a_dataset_is_split_as_its_files_say(tmp_path):
    root = write_tiny_cars(tmp_path)
    cars = get_dataset("cars")
    drawn = cars.open(root)
    (tmp_path / "splits").mkdir()
    folder = write(tmp_path / "splits", "0\n1\n2\n3\n4\n", "5\n6\n")
    read = cars.open(root, SplitChoice(0, folder))
    assert (len(read.train), len(read.validation), len(read.pretext)) == (5, 2, 5)
    assert read.train.name(4).endswith("00005.jpg")
    assert read.test.targets == drawn.test.targets
    assert read.fingerprint != drawn.fingerprint
    assert cars.open(root, SplitChoice(7, folder)).fingerprint == read.fingerprint


def test_it_is_said_where_validation_came_from(tmp_path):
    root = write_tiny_cars(tmp_path)
    write(tmp_path, "0\n1\n2\n3\n", "5\n")
    cars = get_dataset("cars")
    assert cars.open(root, SplitChoice(0, tmp_path)).validation_from == f"from {tmp_path}/cars_val_split.txt"
    assert cars.open(root, SplitChoice(3)).validation_from == "drawn, seed 3"
    assert get_dataset("digits").open(None, SplitChoice(2)).validation_from == "drawn, seed 2"
    dtd = get_dataset("dtd").open(write_tiny("dtd", tmp_path / "dtd"))
    assert dtd.validation_from == "as published"


def test_files_that_leave_a_class_without_training_images_are_refused(tmp_path):
    root = write_tiny_cars(tmp_path)
    write(tmp_path, "0\n1\n3\n4\n", "2\n")
    with pytest.raises(BadInputError, match=r"cars_train_split.txt: no training image shows class 2;"):
        get_dataset("cars").open(root, SplitChoice(0, tmp_path))
