"""A person's own folder: both layouts are read, several are told apart, and what is wrong is named."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from bissl_ray.data import SplitChoice, get_dataset
from bissl_ray.data.spec import Labelled
from bissl_ray.errors import BadInputError
from tests.data.tiny.drawing import write_image
from tests.data.tiny.folders import write_split_folder, write_tiny_folder

FOLDER = get_dataset("folder")


def refusal(folder: Path | None) -> str:
    with pytest.raises(BadInputError) as caught:
        FOLDER.open(folder)
    return str(caught.value)


def names(source) -> list[str]:
    return [source.name(index) for index in range(len(source))]


def test_classes_alone_are_split_60_20_20(tmp_path: Path) -> None:
    splits = FOLDER.open(write_tiny_folder(tmp_path, classes=4, per_class=10))
    assert (len(splits.train), len(splits.validation), len(splits.test), splits.classes) == (24, 8, 8, 4)
    for source, each in ((splits.train, 6), (splits.validation, 2), (splits.test, 2)):
        assert [source.targets.count(label) for label in range(4)] == [each] * 4
    assert len({*names(splits.train), *names(splits.validation), *names(splits.test)}) == 40


def test_its_classes_are_called_as_their_folders(tmp_path: Path) -> None:
    classes = FOLDER.open(write_tiny_folder(tmp_path / "alone", classes=3, unlabelled=2)).class_names
    assert classes == tuple(sorted(path.name for path in (tmp_path / "alone").iterdir() if path.name != "unlabelled"))
    by_hand = write_split_folder(tmp_path / "by-hand", {"train": 5, "test": 2})
    assert FOLDER.open(by_hand).class_names == tuple(sorted(path.name for path in (by_hand / "train").iterdir()))


def test_test_images_are_the_same_under_every_split_seed(tmp_path: Path) -> None:
    write_tiny_folder(tmp_path)
    first, other = (FOLDER.open(tmp_path, SplitChoice(seed)) for seed in (0, 1))
    assert names(first.test) == names(other.test)
    assert names(first.validation) != names(other.validation)
    assert first.fingerprint != other.fingerprint


def test_unlabelled_images_join_the_pretext(tmp_path: Path) -> None:
    splits = FOLDER.open(write_tiny_folder(tmp_path, unlabelled=6))
    assert len(splits.pretext) == 6 + 24 and not isinstance(splits.pretext, Labelled)
    assert names(splits.pretext)[0] == f"{tmp_path}/unlabelled/0.jpg"


def test_a_link_back_to_its_own_folder_is_named(tmp_path: Path) -> None:
    write_tiny_folder(tmp_path)
    (tmp_path / "kind1/again").symlink_to(tmp_path)
    said = refusal(tmp_path)
    assert str(tmp_path / "kind") in said and "can't be looked into (Too many levels of symbolic links)" in said


@pytest.mark.parametrize("link", ["kindz", "kind1/z.jpg"])
def test_a_link_to_nothing_is_named_and_not_passed_over(tmp_path: Path, link: str) -> None:
    write_tiny_folder(tmp_path)
    (tmp_path / link).symlink_to("/nowhere/at/all")
    assert f"{tmp_path / link}: this link leads to nothing (/nowhere/at/all)" in refusal(tmp_path)


def test_split_by_hand(tmp_path: Path) -> None:
    splits = FOLDER.open(write_split_folder(tmp_path, {"train": 5, "val": 3, "test": 2}))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (15, 9, 6)
    assert all(f"{tmp_path}/val/" in name for name in names(splits.validation))
    assert all(f"{tmp_path}/test/" in name for name in names(splits.test))
    shutil.rmtree(tmp_path / "val")
    splits = FOLDER.open(tmp_path)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (12, 3, 6)
    assert all(f"{tmp_path}/train/" in name for name in names(splits.validation))


def test_order_is_that_of_torchvision(tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    from bissl_ray.data.files.class_folders import class_folders, files_by_class

    for name in ("b/2.PNG", "b/10.jpg", "b/x/1.webp", "b/x-y/1.bmp", "b/x/z/1.tif", "a/1.ppm", "a/0.jpeg", "a/B.jpg"):
        write_image(tmp_path / name, 0, 2, np.random.RandomState(0))
    (tmp_path / "a" / "notes.txt").write_text("no image")
    reference = ImageFolder(tmp_path)
    # torchvision would take these for images.
    (tmp_path / ".git").mkdir()
    (tmp_path / "a" / "._0.jpg").write_text("no image")
    listed = files_by_class(tmp_path, class_folders(tmp_path))
    assert [str(tmp_path / name) for name in listed.names] == [path for path, _ in reference.samples]
    assert listed.labels == reference.targets


def test_several_folders_are_told_apart(tmp_path: Path) -> None:
    write_tiny_folder(tmp_path)
    birds = get_dataset("folder-birds")
    assert (birds.name, birds.title) == ("folder-birds", "Your folder, birds")
    assert birds.open(tmp_path).fingerprint != FOLDER.open(tmp_path).fingerprint
    for name in ("folder-", "folder-a/b", "folder-a b"):
        with pytest.raises(BadInputError, match=f"dataset '{name}': expected letters"):
            get_dataset(name)
    with pytest.raises(BadInputError, match="did you mean 'folder'"):
        get_dataset("folders")


def test_named_folders_may_lie_in_one_data_folder(tmp_path: Path) -> None:
    write_tiny_folder(tmp_path / "birds", classes=3)
    write_split_folder(tmp_path / "cars", {"train": 5, "test": 2}, classes=2)
    assert get_dataset("folder-birds").open(tmp_path).classes == 3
    assert get_dataset("folder-cars").open(tmp_path).classes == 2
    # Neither a data folder of its own nor a class of the same name is mistaken for it.
    assert get_dataset("folder-cars").open(tmp_path / "birds").classes == 3
    assert get_dataset("folder-kind1").open(tmp_path / "birds").classes == 3


def test_index_files_count_the_images_that_are_not_for_the_test(tmp_path: Path) -> None:
    data = write_tiny_folder(tmp_path / "data")
    drawn = get_dataset("folder-birds").open(data)
    (tmp_path / "folder-birds_train_split.txt").write_text("0\n9\n18\n31\n")
    (tmp_path / "folder-birds_val_split.txt").write_text("1\n")
    splits = get_dataset("folder-birds").open(data, SplitChoice(0, tmp_path))
    assert (len(splits.train), len(splits.validation)) == (4, 1)
    assert names(splits.test) == names(drawn.test)
    assert not {*names(splits.train), *names(splits.validation)} & {*names(drawn.test)}


def test_the_fingerprint_sees_unlabelled_images_and_the_size_of_each(tmp_path: Path) -> None:
    write_tiny_folder(tmp_path)
    first = FOLDER.open(tmp_path)
    (tmp_path / "unlabelled" / "5.jpg").rename(tmp_path / "unlabelled" / "6.jpg")
    renamed = FOLDER.open(tmp_path)
    assert renamed.fingerprint != first.fingerprint and renamed.labelled_fingerprint == first.labelled_fingerprint
    write_image(tmp_path / "unlabelled" / "0.jpg", 0, 4, np.random.RandomState(1), (64, 64))
    other = FOLDER.open(tmp_path)
    assert other.fingerprint != renamed.fingerprint and other.labelled_fingerprint == first.labelled_fingerprint
    write_image(tmp_path / "kind0" / "0.jpg", 0, 4, np.random.RandomState(1), (64, 64))
    assert FOLDER.open(tmp_path).labelled_fingerprint != first.labelled_fingerprint


def test_the_fingerprint_of_a_folder_split_by_hand_sees_sizes_too(tmp_path: Path) -> None:
    first = FOLDER.open(write_split_folder(tmp_path, {"train": 5, "val": 3, "test": 2, "unlabelled": 1}))
    assert first.validation_from == f"from {tmp_path}/val"
    write_image(tmp_path / "test" / "kind0" / "0.png", 0, 3, np.random.RandomState(1), (64, 64))
    assert FOLDER.open(tmp_path).labelled_fingerprint != first.labelled_fingerprint


def test_no_folder(tmp_path: Path) -> None:
    assert "needs a data folder" in refusal(None)
    assert refusal(tmp_path / "nowhere").startswith(f"--data-dir {tmp_path}/nowhere: found no folder there")


def test_no_classes_and_one_class(tmp_path: Path) -> None:
    assert refusal(tmp_path).startswith(f"{tmp_path}: found no class folder, expected two or more")
    (tmp_path / "flat.jpg").write_bytes(b"")
    write_split_folder(tmp_path / "inner", {"train": 5, "test": 2})
    message = refusal(tmp_path)
    assert "found the one class folder inner/" in message and message.endswith(f"give --data-dir {tmp_path}/inner")


def test_parts_that_do_not_belong(tmp_path: Path) -> None:
    write_split_folder(tmp_path, {"train": 5, "test": 2, "unlabeld": 2})
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}/unlabeld: found beside train/") and "'unlabelled'" in message


def test_train_needs_test(tmp_path: Path) -> None:
    write_split_folder(tmp_path, {"train": 5, "val": 2})
    message = refusal(tmp_path)
    assert "found train/ without test/" in message and f"--data-dir {tmp_path}/train" in message
    shutil.rmtree(tmp_path / "train")
    assert "found val/ without train/" in refusal(tmp_path)


@pytest.mark.parametrize("part", ["val", "test"])
def test_parts_must_have_the_same_classes(tmp_path: Path, part: str) -> None:
    write_split_folder(tmp_path, {"train": 5, "val": 2, "test": 2})
    (tmp_path / part / "kind1").rename(tmp_path / part / "kinds1")
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}/train/kind1: a class that {part}/ lacks") and "2 are in one" in message


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    write_tiny_folder(tmp_path)
    (tmp_path / "kind9").mkdir()
    assert refusal(tmp_path).startswith(f"{tmp_path}/kind9: this class has no image")
    assert "found it empty" in refusal(tmp_path)


def test_too_few_images(tmp_path: Path) -> None:
    assert "too few images, the validation split comes out empty" in refusal(write_tiny_folder(tmp_path, 2, 1))
