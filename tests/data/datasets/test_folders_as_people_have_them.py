"""Folders as people have them: other words for the parts, what programs leave there, images of every kind."""

import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bissl_ray.data import get_dataset
from bissl_ray.data.files.formats import look_at
from bissl_ray.data.files.split_words import part_called
from bissl_ray.errors import BadInputError
from tests.data.tiny.drawing import write_image
from tests.data.tiny.folders import write_split_folder, write_tiny_folder

FOLDER = get_dataset("folder")


def refusal(folder: Path) -> str:
    with pytest.raises(BadInputError) as caught:
        FOLDER.open(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sizes(folder: Path) -> tuple[int | None, int, int, int]:
    """Classes; images for training, validation and test."""
    splits = FOLDER.open(folder)
    return splits.classes, len(splits.train), len(splits.validation), len(splits.test)


@pytest.mark.parametrize(
    ("word", "part"),
    [
        *((word, "train") for word in ("train", "Train", "TRAIN", "training", "Training", "train_set", "Training Set")),
        *((word, "train") for word in ("trainset", "train_images", "train-data", "TrainImages", "train2017", "trn")),
        *(
            (word, "val")
            for word in ("val", "VAL", "valid", "Validation", "dev", "validation_set", "val2017", "valset")
        ),
        *((word, "test") for word in ("test", "Testing", "TEST", "test_set", "test-images", "testset", "tst")),
        *((word, "unlabelled") for word in ("unlabelled", "Unlabeled", "unlabeled_images", "UNLABELED")),
        *((word, None) for word in ("cat", "trainer", "invalid", "tester", "contest", "device", "eval", "images")),
    ],
)
def test_what_folders_are_called(word: str, part: str | None) -> None:
    assert part_called(word) == part


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("Train", None, "Test"),
        ("TRAIN", None, "TEST"),
        ("Training", None, "Testing"),
        ("training", "validation", "testing"),
        ("train", "valid", "test"),
        ("train", "dev", "test"),
        ("Train_Images", "Val_Images", "Test_Images"),
        ("seg_train", None, "seg_test"),
        ("birds-train", "birds-val", "birds-test"),
    ],
)
def test_parts_in_other_words(tmp_path: Path, train: str, val: str | None, test: str) -> None:
    write_split_folder(tmp_path, {train: 5, test: 2, **({val: 3} if val else {})})
    assert sizes(tmp_path) == ((3, 15, 9, 6) if val else (3, 12, 3, 6))
    assert FOLDER.open(tmp_path).validation_from == (f"from {tmp_path / val}" if val else "drawn, seed 0")


def test_the_same_images_under_another_word_are_the_same_data(tmp_path: Path) -> None:
    first = FOLDER.open(write_split_folder(tmp_path, {"train": 5, "test": 2, "unlabelled": 1}))
    for old, new in (("train", "Training"), ("test", "TEST"), ("unlabelled", "Unlabeled")):
        (tmp_path / old).rename(tmp_path / new)
    assert FOLDER.open(tmp_path).fingerprint == first.fingerprint


@pytest.mark.parametrize(
    "classes", [("train", "plane", "car"), ("valid", "invalid"), ("dev", "prod"), ("Training", "Match")]
)
def test_a_class_may_be_called_as_a_part(tmp_path: Path, classes: tuple[str, ...]) -> None:
    draw = np.random.RandomState(0)
    for label, name in enumerate(classes):
        for number in range(10):
            write_image(tmp_path / name / f"{number}.jpg", label, len(classes), draw)
    assert FOLDER.open(tmp_path).class_names == tuple(sorted(classes))


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        # Two folders for one part.
        ({"train": 5, "Train": 5, "test": 2}, "Train/ and train/ both say that they are the train part"),
        ({"train": 5, "val": 2, "valid": 2, "test": 2}, "val/ and valid/ both say that they are the val part"),
        # A part too few.
        (
            {"Training": 5, "Validation": 2},
            "found Training/ without test/.*: rename Validation/ to test/, or",
        ),
        ({"Test": 5, "valid": 2}, "found Test/ without train/"),
        # What is no part beside parts.
        (
            {"Train": 5, "Test": 2, "eval": 2},
            "eval: found beside Train/, where train, val, test, unlabelled are",
        ),
    ],
)
def test_two_readings_of_parts_are_asked_about(tmp_path: Path, folders: dict[str, int], told: str) -> None:
    write_split_folder(tmp_path, folders)
    assert re.search(told, refusal(tmp_path)), refusal(tmp_path)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("Train", "Test"), "Test: found images and no class folders in it; as the test part"),
        (("cat", "dog", "test"), "test: found images and no class folders in it"),
        (("cat", "dog", "Validation"), "give it another name, such as Validation-class"),
    ],
)
def test_parts_without_classes_are_asked_about(tmp_path: Path, names: tuple[str, ...], told: str) -> None:
    for name in names:
        write_image(tmp_path / name / "0.jpg", 0, 2, np.random.RandomState(0))
    assert told in refusal(tmp_path)


def test_classes_that_hold_the_parts(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        for part in ("train", "test"):
            write_image(tmp_path / kind / part / "0.jpg", 0, 2, np.random.RandomState(0))
    assert "cat: found test/, train/ inside a class; expected the classes inside the parts: train/cat/" in refusal(
        tmp_path
    )


def test_a_copy_of_the_data_set_inside_itself(tmp_path: Path) -> None:
    write_tiny_folder(tmp_path)
    write_tiny_folder(tmp_path / "animals")
    assert f"{tmp_path}/animals/kind0: a folder called as the class kind0/ lies inside the class animals/" in refusal(
        tmp_path
    )


def test_a_part_inside_itself(tmp_path: Path) -> None:
    write_split_folder(tmp_path / "seg_train", {"seg_train": 5})
    write_split_folder(tmp_path / "seg_test", {"seg_test": 2})
    told = refusal(tmp_path)
    assert f"move what is in {tmp_path}/seg_train/seg_train up into {tmp_path}/seg_train" in told


@pytest.mark.parametrize(
    "name",
    [
        *("__MACOSX/kind0/._0.jpg", "@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg", "kind0/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg"),
        *("kind0/Thumbs.db", "kind0/.DS_Store", "kind0/._0.jpg", "kind0/desktop.ini", ".ipynb_checkpoints/0.jpg"),
        *("#recycle/0.jpg", "$RECYCLE.BIN/S-1-5/0.jpg", "lost+found/0.jpg", "kind1/.thumbnails/0.jpg", "kind0/Icon\r"),
        "System Volume Information/0.jpg",
    ],
)
def test_what_programs_leave_is_left_aside(tmp_path: Path, name: str) -> None:
    before = FOLDER.open(write_tiny_folder(tmp_path)).fingerprint
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes((tmp_path / "kind0" / "1.jpg").read_bytes())
    assert FOLDER.open(tmp_path).fingerprint == before


@pytest.mark.parametrize(
    ("name", "format"),
    [
        *(
            ("photo.JPG", "JPEG"),
            ("photo.jfif", "JPEG"),
            ("photo.jpe", "JPEG"),
            ("photo", "JPEG"),
            ("photo.png_", "PNG"),
        ),
        *(("moving.gif", "GIF"), ("moving.GIF", "GIF"), ("photo.avif", "AVIF"), ("photo.jp2", "JPEG2000")),
        *(
            ("photo.heic", "HEIF"),
            ("photo.HEIC", "HEIF"),
            ("photo.hif", "HEIF"),
            ("0.jpg.1", "JPEG"),
            ("scan.TIFF", "TIFF"),
        ),
        *(("photo.jpg?width=200", "WEBP"), ("photo.png_", "PNG"), ("scan.TIFF", "TIFF")),
    ],
)
def test_images_are_read_by_content_whatever_their_ending(tmp_path: Path, name: str, format: str) -> None:
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    write_tiny_folder(tmp_path)
    Image.new("RGB", (64, 48), "red").save(tmp_path / "kind0" / name, format=format)
    splits = FOLDER.open(tmp_path)
    assert sum(len(getattr(splits, part)) for part in ("train", "validation", "test")) == 41
    images = [part.images for part in (splits.train, splits.validation, splits.test)]
    ((source, index),) = [(s, i) for s in images for i in range(len(s)) if s.name(i).endswith(f"/{name}")]
    assert np.abs(np.asarray(source[index]).astype(int) - [255, 0, 0]).max() < 10


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "drawing.svg",
            b"<svg xmlns='x'/>",
            "is an SVG drawing, which is not read here; convert it to JPEG or PNG",
        ),
        ("photo.jxl", b"\xff\x0a0000", "is a JPEG XL image, which is not read here; convert it"),
        ("photo.nef", b"MM\0*00000000", "is a camera's raw image, which is not read here; convert it"),
        ("photo.CR2", b"II*\0000000CR", "is a camera's raw image"),
        ("photo.jpg", b"", "is empty (0 bytes); put the image itself there"),
        (
            "photo.png",
            b"version https://git-lfs.github.com/spec/v1\n",
            "is a Git LFS pointer, which stands for ",
        ),
        ("photo.jpeg", b"<!DOCTYPE html><html>Not found</html>", "is a web page; put the image itself there"),
    ],
)
def test_images_that_can_not_be_read_are_not_left_out_unsaid(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    write_tiny_folder(tmp_path)
    (tmp_path / "kind0" / name).write_bytes(content)
    assert refusal(tmp_path).startswith(f"{tmp_path}/kind0/{name}: {told}")
    (tmp_path / "unlabelled" / name).write_bytes(content)
    assert "and so are 1 more" in refusal(tmp_path)


def test_a_file_of_text_is_no_image(tmp_path: Path) -> None:
    for name, content in (
        ("notes.txt", "BMW, 3 series"),
        ("labels.csv", "P5 is a grade"),
        ("a.json", "{}"),
        ("b", "GIF"),
    ):
        (tmp_path / name).write_text(content)
        assert look_at(str(tmp_path / name)) == (False, None)


def test_names_with_accents_are_one_class_however_they_are_written(tmp_path: Path) -> None:
    composed, parts = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    write_split_folder(tmp_path, {"train": 5, "val": 2, "test": 2})
    for part, name in (("train", composed), ("val", parts), ("test", parts)):
        (tmp_path / part / "kind1").rename(tmp_path / part / name)
    splits = FOLDER.open(tmp_path)
    assert splits.class_names == (composed, "kind0", "kind2")
    assert [list(part.targets).count(0) for part in (splits.train, splits.validation, splits.test)] == [5, 2, 2]


def test_two_folders_of_one_name_are_one_class(tmp_path: Path) -> None:
    write_tiny_folder(tmp_path, classes=3)
    for old, form in (("kind0", "NFC"), ("kind1", "NFD")):
        (tmp_path / old).rename(tmp_path / unicodedata.normalize(form, "caf\u00e9"))
    assert sizes(tmp_path)[0] == 2


def test_the_class_of_another_spelling_is_suggested(tmp_path: Path) -> None:
    write_split_folder(tmp_path, {"train": 5, "test": 2})
    (tmp_path / "test" / "kind1").rename(tmp_path / "test" / "Kind1")
    assert "did you mean 'kind1'?" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        *(
            ("dataTrain", "dataTest"),
            ("train1", "test1"),
            ("trainA", "testA"),
            ("训练集", "测试集"),
            ("学習データ", "テスト"),
        ),
        *(("entrenamiento", "prueba"), ("Entraînement", "Test"), ("train_80", "test_20")),
    ],
)
def test_parts_in_words_of_elsewhere(tmp_path: Path, train: str, test: str) -> None:
    write_split_folder(tmp_path, {train: 5, test: 2})
    assert sizes(tmp_path) == (3, 12, 3, 6)


@pytest.mark.parametrize(
    "name",
    [
        *("0.jpg.part", "0.jpg.crdownload", "0.jpg.tmp", "0.jpg~", "#0.jpg#", "0.jpg.bak", "0.jpg.orig", "0.jpg.!ut"),
        *("p.txt", "t.csv", "clip.mp4", "notes.pdf"),
    ],
)
def test_what_is_no_image_of_its_own_is_left_aside_and_said(tmp_path: Path, name: str) -> None:
    from bissl_ray.config.data_choice import DataChoice
    from bissl_ray.data.checks.dataset import check_dataset

    before = FOLDER.open(write_tiny_folder(tmp_path)).fingerprint
    image = (tmp_path / "kind0" / "1.jpg").read_bytes()
    contents = {
        "p.txt": b"P3 4 3 players",
        "t.csv": b"P1 2 3,4",
        "clip.mp4": b"\0\0\0\x18ftypmp42",
        "notes.pdf": b"%PDF",
    }
    (tmp_path / "kind0" / name).write_bytes(contents.get(name, image))
    assert FOLDER.open(tmp_path).fingerprint == before
    findings = check_dataset(DataChoice("folder", data_dir=str(tmp_path)), True, lambda done, total: None)
    assert [note.examples for note in findings.notes if "of no split" in note.text] == [[f"{tmp_path}/kind0/{name}"]]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jpg", b"/annex/objects/SHA256E-s1--0.jpg\n", "is no image: it begins with '/annex/objects/SHA256E-s'"),
        ("a.jpg", b"404: Not Found", "is no image: it begins with '404: Not Found'; put the image itself there"),
        ("scan.dcm", b"\0" * 8, "is an image of a kind (.dcm), which is not read here; convert it"),
        ("a.tga", b"\0\0\2\0", "is an image of a kind (.tga), which is not read here"),
    ],
)
def test_what_is_called_an_image_and_is_none_is_said(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    write_tiny_folder(tmp_path)
    (tmp_path / "kind0" / name).write_bytes(content)
    assert refusal(tmp_path).startswith(f"{tmp_path}/kind0/{name}: {told}")


@pytest.mark.parametrize(
    ("folders", "flat", "told"),
    [
        (
            {"train": 5},
            "val",
            "val: the val part holds no folder of a class; sort its images into folders as those of train/",
        ),
        ({"train": 5}, "test", "images without labels go into unlabelled/; or give --data-dir"),
        ({"train": 5, "test": 2, "train_old": 2}, None, "train_old: found beside train/"),
    ],
)
def test_advice_on_parts_does_no_harm(tmp_path: Path, folders: dict[str, int], flat: str | None, told: str) -> None:
    write_split_folder(tmp_path, folders)
    if flat:
        write_image(tmp_path / flat / "0.jpg", 0, 2, np.random.RandomState(0))
    assert told in refusal(tmp_path) and "did you mean 'train'" not in refusal(tmp_path)


def test_images_of_boxes_point_at_the_images(tmp_path: Path) -> None:
    for part in ("train", "val"):
        write_image(tmp_path / "images" / part / "0.jpg", 0, 2, np.random.RandomState(0))
        (tmp_path / "labels" / part).mkdir(parents=True)
    assert "boxes and masks are no labels of classes" in refusal(tmp_path)


def test_data_far_inside_are_pointed_at(tmp_path: Path) -> None:
    write_tiny_folder(tmp_path / "birds" / "birds" / "birds")
    assert refusal(tmp_path).endswith(f"they seem to be further in: give --data-dir {tmp_path}/birds/birds/birds")


def test_images_without_folders_are_counted(tmp_path: Path) -> None:
    for number in range(3):
        write_image(tmp_path / f"cat.{number}.jpg", 0, 2, np.random.RandomState(0))
    assert refusal(tmp_path).endswith("; 3 images lie there without a folder of their class")


def test_a_class_that_holds_a_train_among_others_is_a_class(tmp_path: Path) -> None:
    for number, name in enumerate(("vehicles/car", "vehicles/train", "animals/cat", "animals/dog")):
        for place in range(5):
            write_image(tmp_path / name / f"{place}.jpg", number, 4, np.random.RandomState(0))
    assert FOLDER.open(tmp_path).class_names == ("animals", "vehicles")


@pytest.mark.slow
def test_what_the_check_says_of_a_folder(tmp_path: Path) -> None:
    from bissl_ray.config.data_choice import DataChoice
    from bissl_ray.data.checks.dataset import check_dataset

    write_tiny_folder(tmp_path)
    image = (tmp_path / "kind0" / "1.jpg").read_bytes()
    (tmp_path / "cover.jpg").write_bytes(image)
    (tmp_path / "kind3" / "again.jpg").write_bytes(image)
    (tmp_path / "kind2" / "inner").mkdir()
    (tmp_path / "kind2" / "0.jpg").rename(tmp_path / "kind2" / "inner" / "0.jpg")
    findings = check_dataset(DataChoice("folder", data_dir=str(tmp_path)), False, lambda done, total: None)
    assert findings.left_out == 1
    notes = {note.text: list(note.examples) for note in findings.notes}
    assert notes["Beside the images 1 file of no split"] == [f"{tmp_path}/cover.jpg"]
    assert any(text.startswith("1 class folder holds folders") for text in notes)
    problems = {problem.text: list(problem.examples) for problem in findings.problems}
    (twice,) = problems["1 image with several classes"]
    assert set(twice.split("; ")) == {f"{tmp_path}/kind0/1.jpg", f"{tmp_path}/kind3/again.jpg"}
