"""VOC 2007: image lists and XML annotations become labels of several classes, as the devkit counts them."""

from pathlib import Path

import pytest

from bissl_ray.data import get_dataset
from bissl_ray.data.files.voc import CLASSES
from bissl_ray.data.spec import UNCERTAIN, Labelled
from bissl_ray.errors import BadInputError
from tests.data.tiny.voc07 import SHOWN_TOGETHER, write_annotations, write_tiny_voc07

VOC07 = get_dataset("voc07")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_voc07(tmp_path)


@pytest.fixture
def root(folder: Path) -> Path:
    return folder / "VOCdevkit" / "VOC2007"


def refusal(folder: Path) -> str:
    with pytest.raises(BadInputError) as caught:
        VOC07.open(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_reads_the_published_splits(folder: Path) -> None:
    splits = VOC07.open(folder)
    assert (len(splits.train), len(splits.validation), len(splits.test), splits.classes) == (40, 20, 20, 20)
    assert VOC07.task == "multi_label"
    assert len(splits.pretext) == 40 and not isinstance(splits.pretext, Labelled)
    assert splits.validation.name(0) == f"{folder}/VOCdevkit/VOC2007/JPEGImages/000041.jpg"
    assert splits.train[0][0].mode == "RGB"


def test_labels_tell_shown_classes_from_uncertain_ones(folder: Path) -> None:
    train = VOC07.open(folder).train
    expected = [0] * 20
    expected[3] = expected[3 + SHOWN_TOGETHER] = 1
    expected[4] = UNCERTAIN
    assert train[3][1] == train.targets[3] == tuple(expected)
    assert UNCERTAIN not in train.targets[4]


@pytest.mark.parametrize("objects", [[("cat", True), ("cat", False)], [("cat", False), ("cat", True)]])
def test_one_object_that_is_not_difficult_is_enough(folder: Path, root: Path, objects: list[tuple[str, bool]]) -> None:
    write_annotations(root / "Annotations" / "000001.xml", [*objects, ("dog", True), ("dog", True)])
    label = VOC07.open(folder).train.targets[0]
    assert label[CLASSES.index("cat")] == 1 and label[CLASSES.index("dog")] == UNCERTAIN
    assert label.count(0) == 18


def test_a_part_of_a_person_is_no_object(folder: Path, root: Path) -> None:
    write_annotations(root / "Annotations" / "000001.xml", [("person", False)])
    assert "<part><name>head</name></part>" in (root / "Annotations" / "000001.xml").read_text()
    assert sum(VOC07.open(folder).train.targets[0]) == 1


@pytest.mark.parametrize(("file", "part"), [("JPEGImages/000050.jpg", "val"), ("Annotations/000070.xml", "test")])
def test_an_absent_file_is_named(folder: Path, root: Path, file: str, part: str) -> None:
    (root / file).unlink()
    assert refusal(folder).startswith(f"{root / file}: named in {part}.txt but absent;")
    for number in range(10, 14):
        (root / f"JPEGImages/{number:06d}.jpg").unlink()
    first = root / "JPEGImages" / "000010.jpg"
    assert refusal(folder).startswith(f"{first}: named in train.txt but absent, and so are 4 more;")


def test_an_image_in_two_lists_is_named(folder: Path, root: Path) -> None:
    lists = root / "ImageSets" / "Main"
    (lists / "test.txt").write_text("000061\n000002\n")
    assert refusal(folder).startswith(
        f"{lists}/test.txt, line 2: image 000002 occurs twice, first in train.txt, line 2"
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "can't be read as XML"),
        (b"<annotation><object>", "can't be read as XML"),
        (b"<annotation><object><name>unicorn</name></object></annotation>", "an object as 'unicorn', expected one of"),
        (b"<annotation><object/></annotation>", "an object as '', expected one of"),
        (
            b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
            b"<annotation><object><name>&e;</name></object></annotation>",
            "begins a document type",
        ),
        (
            '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY e "cat">]><annotation/>'.encode("utf-16"),
            "begins a document type",
        ),
    ],
)
def test_damaged_annotations_are_named(folder: Path, root: Path, content: bytes, told: str) -> None:
    path = root / "Annotations" / "000007.xml"
    path.write_bytes(content)
    message = refusal(folder)
    assert message.startswith(f"{path}: ") and told in message


def test_an_empty_list_is_named(folder: Path, root: Path) -> None:
    (root / "ImageSets/Main/val.txt").write_text("\n")
    assert refusal(folder).startswith(f"{root}/ImageSets/Main/val.txt names no image")


def test_a_class_without_images_is_named(folder: Path, root: Path) -> None:
    for number in range(1, 41):
        write_annotations(root / "Annotations" / f"{number:06d}.xml", [("cat", False), ("dog", True)])
    message = refusal(folder)
    assert message.startswith(f"{root}/ImageSets/Main/train.txt: no training image shows class aeroplane, bicycle,")
    assert "and 14 more" in message


def test_the_fingerprint_follows_annotations_and_lists(folder: Path, root: Path) -> None:
    first = VOC07.open(folder).fingerprint
    write_annotations(root / "Annotations" / "000061.xml", [("cat", False)])
    assert VOC07.open(folder).fingerprint != first
