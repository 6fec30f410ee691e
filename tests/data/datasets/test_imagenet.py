"""ImageNet: folders by class, in ImageFolder's order; what is wrong with the folders is named."""

from pathlib import Path

import pytest

from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from tests.data.tiny.folders import WNIDS, write_tiny_imagenet

IMAGENET = get_dataset("imagenet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_imagenet(tmp_path)


def refusal(folder: Path) -> str:
    with pytest.raises(BadInputError) as caught:
        IMAGENET.open(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_equals_torchvision(folder: Path) -> None:
    from torchvision.datasets import ImageFolder

    reference = ImageFolder(folder / "imagenet" / "val")
    splits = IMAGENET.open(folder)
    assert [splits.test.name(index) for index in range(len(splits.test))] == [path for path, _ in reference.samples]
    assert splits.test.targets == reference.targets
    assert splits.class_names == tuple(reference.classes)
    assert (len(splits.train), len(splits.validation), len(splits.test), splits.classes) == (50, 2, 12, 4)


def test_the_published_size_gives_the_published_split() -> None:
    from bissl_ray.data.datasets.imagenet import _VALIDATION_SHARE

    assert round(1_281_167 * _VALIDATION_SHARE) == 50_000 == 1_281_167 - IMAGENET.sizes[0]


def test_unsorted_validation_images_are_explained(folder: Path) -> None:
    val = folder / "imagenet" / "val"
    for wnid in WNIDS:
        for image in list((val / wnid).iterdir()):
            image.rename(val / image.name)
        (val / wnid).rmdir()
    message = refusal(folder)
    assert message.startswith(f"{val}: found no folder per class") and "valprep.sh" in message


def test_a_class_in_one_part_alone_is_named(folder: Path) -> None:
    (folder / "imagenet" / "val" / WNIDS[1]).rename(folder / "imagenet" / "val" / "n09999999")
    message = refusal(folder)
    assert message.startswith(f"{folder}/imagenet/train/{WNIDS[1]}: a class that {folder}/imagenet/val lacks (2 ")


def test_an_empty_class_is_named(folder: Path) -> None:
    empty = folder / "imagenet" / "train" / WNIDS[2]
    for image in list(empty.iterdir()):
        image.unlink()
        image.with_suffix(".txt").write_text("no image")
    assert refusal(folder).startswith(f"{empty}: this class has no image")
    assert f"found {WNIDS[2]}_0.txt, {WNIDS[2]}_1.txt, {WNIDS[2]}_10.txt and 10 more" in refusal(folder)


def test_no_folder_of_classes(folder: Path) -> None:
    (folder / "imagenet" / "train").rename(folder / "away")
    (folder / "imagenet" / "train").mkdir()
    assert refusal(folder).startswith(f"{folder}/imagenet/train: found no folder per class")


def test_no_download_is_offered(tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as caught:
        IMAGENET.open(tmp_path)
    assert "missing: imagenet/train/, imagenet/val/." in str(caught.value)
    assert "after signing in" in str(caught.value) and "--download" not in str(caught.value)
