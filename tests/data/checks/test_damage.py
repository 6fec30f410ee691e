"""Every kind of damage to a dataset's annotations and images is named, with its file and line."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from tests.data.tiny import write_tiny

Damage = Callable[[Path], None]


def changed(path: str, line: int, content: str | None) -> Damage:
    """Put something else in a line, counted from 1; None takes it away."""

    def damage(folder: Path) -> None:
        lines = (folder / path).read_text().splitlines()
        lines[line - 1 : line] = [] if content is None else [content]
        (folder / path).write_text("".join(one + "\n" for one in lines))

    return damage


def replaced(path: str, old: str, new: str) -> Damage:
    """Replace wherever a regular expression matches."""

    def damage(folder: Path) -> None:
        before = (folder / path).read_text()
        after = re.sub(old, new, before)
        assert after != before
        (folder / path).write_text(after)

    return damage


def filled(path: str, content: bytes) -> Damage:
    def damage(folder: Path) -> None:
        (folder / path).write_bytes(content)

    return damage


def absent(path: str) -> Damage:
    return lambda folder: (folder / path).unlink()


def both(first: Damage, second: Damage) -> Damage:
    def damage(folder: Path) -> None:
        first(folder)
        second(folder)

    return damage


def first_line_of(source: str, path: str, line: int) -> Damage:
    """Put the first line of one file in a line of another."""
    return lambda folder: changed(path, line, (folder / source).read_text().splitlines()[0])(folder)


def only_image(path: str) -> Damage:
    """Leave the first image of a folder alone."""

    def damage(folder: Path) -> None:
        for image in sorted((folder / path).iterdir())[1:]:
            image.unlink()

    return damage


def without_folders(path: str, *names: str) -> Damage:
    def damage(folder: Path) -> None:
        for name in names:
            shutil.rmtree(folder / path / name)

    return damage


def in_json(path: str, change: Callable[[dict[str, list[str]]], object]) -> Damage:
    def damage(folder: Path) -> None:
        images = json.loads((folder / path).read_text())
        change(images)
        (folder / path).write_text(json.dumps(images))

    return damage


def in_mat(path: str, field: str, change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    def damage(folder: Path) -> None:
        fields = {name: value for name, value in loadmat(folder / path).items() if not name.startswith("__")}
        fields[field] = change(fields[field])
        savemat(folder / path, fields)

    return damage


def put(index: int, value: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(row: np.ndarray) -> np.ndarray:
        row = row.copy()
        row[0, index] = value
        return row

    return change


FOOD = "food-101/meta"
DTD = "dtd/dtd/labels"
PETS = "oxford-iiit-pet/annotations"
LABELS, PARTS = "flowers-102/imagelabels.mat", "flowers-102/setid.mat"
PLANES = "fgvc-aircraft-2013b/data"
BIRDS = "CUB_200_2011"
SUN = "SUN397"
CALTECH = "caltech101/101_ObjectCategories"

DAMAGED: dict[str, list[tuple[Damage, str]]] = {
    "food": [
        (filled(f"{FOOD}/train.json", b'{"apple_pie": ['), r"/train\.json: can't be read as JSON"),
        (filled(f"{FOOD}/test.json", b"[]"), r"/test\.json: can't be read as JSON"),
        (
            in_json(f"{FOOD}/test.json", lambda images: images.pop("waffles")),
            r"/test\.json: lists no image of class 'waffles', which train\.json has; put files of the same release",
        ),
        (
            in_json(f"{FOOD}/train.json", lambda images: images["baklava"].clear()),
            r"/train\.json: no training image shows class baklava; put",
        ),
        (
            in_json(f"{FOOD}/test.json", lambda images: images["baklava"].append("baklava/1001")),
            r"/test\.json: lists baklava/1001\.jpg a second time, after train\.json",
        ),
        (absent("food-101/images/waffles/1003.jpg"), r"^\S+/waffles/1003\.jpg: named in train\.json but absent; put"),
        (
            without_folders("food-101/images", "waffles"),
            r"^\S+/waffles/1001\.jpg: named in train\.json but absent, and so are 10 more; put the complete images",
        ),
    ],
    "dtd": [
        (changed(f"{DTD}/train1.txt", 2, "banded"), r"/train1\.txt, line 2: found 'banded', expected CLASS/IMAGE"),
        (changed(f"{DTD}/val1.txt", 3, ""), r"/val1\.txt, line 3: found ''"),
        (filled(f"{DTD}/test1.txt", b""), r"/test1\.txt: is empty"),
        (filled(f"{DTD}/test1.txt", b"\xff\xfe"), r"/test1\.txt: can't be read as text"),
        (
            replaced(f"{DTD}/train1.txt", "(?m)^zigzagged.*\n", ""),
            r"/train1\.txt: lists no image of class 'zigzagged', which val1\.txt has",
        ),
        (
            changed(f"{DTD}/test1.txt", 1, "banded/banded_0001.jpg"),
            r"/test1\.txt, line 1: lists banded/banded_0001\.jpg a second time, after train1\.txt, line 1;",
        ),
        (
            absent("dtd/dtd/images/braided/braided_0001.jpg"),
            r"^\S+/braided_0001\.jpg: named in train1\.txt, line 2 but absent",
        ),
    ],
    "pets": [
        (changed(f"{PETS}/test.txt", 4, "Bengal_12 3 1"), r"/test\.txt, line 4: found 'Bengal_12 3 1', expected"),
        (
            changed(f"{PETS}/trainval.txt", 4, "Abyssinian_2 2 1 1"),
            r"/trainval\.txt, line 4: gives Abyssinian_2\.jpg class 2, but other images of Abyssinian have class 1",
        ),
        (
            changed(f"{PETS}/trainval.txt", 4, "Abyssinian_2 0 1 1"),
            r"/trainval\.txt, line 4: gives Abyssinian_2\.jpg class 0, but",
        ),
        (
            both(
                replaced(f"{PETS}/trainval.txt", r"(?m)(^Bengal\S+) 3", r"\1 9"),
                replaced(f"{PETS}/test.txt", r"(?m)(^Bengal\S+) 3", r"\1 9"),
            ),
            r"/trainval\.txt, line 3: gives Bengal_1\.jpg a class outside 1\.\.3",
        ),
        (
            replaced(f"{PETS}/trainval.txt", "(?m)^Bengal.*\n", ""),
            r"/trainval\.txt: no training image shows class Bengal; put",
        ),
        (
            changed(f"{PETS}/trainval.txt", 4, "Abyssinian_1 1 1 1"),
            r"/trainval\.txt, line 4: lists Abyssinian_1\.jpg a second time, after trainval\.txt, line 1;",
        ),
        (absent("oxford-iiit-pet/images/Bengal_2.jpg"), r"^\S+/Bengal_2\.jpg: named in trainval\.txt, line 6 but"),
    ],
    "flowers": [
        (filled(LABELS, b""), r"/imagelabels\.mat: can't be read as a \.mat file"),
        (filled(PARTS, b"no MATLAB file, but long enough to have a header" * 9), r"/setid\.mat: can't be read"),
        (lambda folder: savemat(folder / PARTS, {"trnid": [1]}), r"/setid\.mat: .* in the field 'valid' \(KeyError"),
        (in_mat(PARTS, "valid", lambda row: row[:, :0]), r"/setid\.mat: its field 'valid' is empty"),
        (
            in_mat(LABELS, "labels", put(0, 0)),
            r"/imagelabels\.mat: gives image 1 class 0, but it tells 4 classes apart, which",
        ),
        (in_mat(LABELS, "labels", put(0, 77)), r"/imagelabels\.mat: gives image 1 class 77, but it tells 4 classes"),
        (
            in_mat(LABELS, "labels", lambda row: row[:, :-1]),
            r"/setid\.mat: its field 'tstid' names image 42, but \S+ has labels of the images 1\.\.41",
        ),
        (in_mat(PARTS, "valid", put(0, 1)), r"/setid\.mat: lists image_00001\.jpg a second time, after setid\.mat"),
        (in_mat(PARTS, "trnid", lambda row: row[:, ::3]), r"no training image shows class 2, 3; put"),
        (absent("flowers-102/jpg/image_00042.jpg"), r"^\S+/image_00042\.jpg: named in setid\.mat but absent"),
    ],
    "aircrafts": [
        (
            changed(f"{PLANES}/images_variant_val.txt", 2, "0000901 Boeing 7"),
            r"/images_variant_val\.txt, line 2: found '0000901 Boeing 7', expected .* variants\.txt",
        ),
        (changed(f"{PLANES}/variants.txt", 2, ""), r"/variants\.txt, line 2: found ''"),
        (changed(f"{PLANES}/variants.txt", 4, "Yak-42"), r"_train\.txt: no training image shows class Yak-42; put"),
        (
            changed(f"{PLANES}/images_variant_test.txt", 2, "0000100 707-320"),
            r"_test\.txt, line 2: lists 0000100\.jpg a second time, after images_variant_train\.txt, line 1;",
        ),
        (
            absent(f"{PLANES}/images/0000102.jpg"),
            r"^\S+/0000102\.jpg: named in images_variant_train\.txt, line 3 but absent",
        ),
    ],
    "cub200": [
        (
            changed(f"{BIRDS}/image_class_labels.txt", 5, None),
            r"/image_class_labels\.txt: has no line for image 5, which images\.txt has",
        ),
        (
            changed(f"{BIRDS}/images.txt", 5, None),
            r"/images\.txt: has no line for image 5, which image_class_labels\.txt has",
        ),
        (
            changed(f"{BIRDS}/image_class_labels.txt", 1, "1 4"),
            r"/image_class_labels\.txt: gives image 1 class 4, which classes\.txt hasn't; put files of",
        ),
        (changed(f"{BIRDS}/train_test_split.txt", 3, "3 2"), r"/train_test_split\.txt, line 3: found '3 2'"),
        (changed(f"{BIRDS}/train_test_split.txt", 3, "2 1"), r"/train_test_split\.txt, line 3: number 2 occurs a"),
        (changed(f"{BIRDS}/classes.txt", 3, "5 005.Crested_Auklet"), r"/classes\.txt: its classes aren't numbered"),
        (changed(f"{BIRDS}/classes.txt", 4, "4 004.Groove"), r"no training image shows class 004\.Groove; put"),
        (
            replaced(f"{BIRDS}/images.txt", r"(?m)^1 .*\n2 (.*)\n", r"1 \1\n2 \1\n"),
            r"/images\.txt, line \d+: lists \S+\.jpg a second time, after images\.txt, line \d+;",
        ),
        (
            absent(f"{BIRDS}/images/003.Sooty_Albatross/Sooty_Albatross_0001_796112.jpg"),
            r"^\S+/Sooty_Albatross_0001_796112\.jpg: named in images\.txt, line \d+ but absent",
        ),
    ],
    "sun397": [
        (
            absent(f"{SUN}/Partitions/Testing_01.txt"),
            r"incomplete in \S+; missing: SUN397/Partitions/Testing_01\.txt\.",
        ),
        (absent(f"{SUN}/ClassName.txt"), r"incomplete in \S+; missing: SUN397/ClassName\.txt\."),
        (
            changed(f"{SUN}/Partitions/Training_01.txt", 3, "/b/beach/sun_a.jpg"),
            r"/Training_01\.txt, line 3: shows scene '/b/beach', which \S+/ClassName\.txt hasn't",
        ),
        (changed(f"{SUN}/Partitions/Testing_01.txt", 1, "sun_a.jpg"), r"/Testing_01\.txt, line 1: found 'sun_a\.jpg'"),
        (changed(f"{SUN}/ClassName.txt", 4, "/z/zen_garden"), r"no training image shows class /z/zen_garden; put"),
        (
            first_line_of(f"{SUN}/Partitions/Training_01.txt", f"{SUN}/Partitions/Testing_01.txt", 2),
            r"/Testing_01\.txt, line 2: lists \S+ a second time, after Training_01\.txt, line 1;",
        ),
        (
            absent(f"{SUN}/a/apartment_building/outdoor/sun_b{'a' * 15}.jpg"),
            r"^\S+/outdoor/sun_ba+\.jpg: named in Training_01\.txt, line 9 but absent",
        ),
    ],
    "caltech101": [
        (absent(f"{CALTECH}/Faces/image_0007.jpg"), r"/Faces: found image_0008\.jpg where image_0007\.jpg should be"),
        (filled(f"{CALTECH}/accordion/notes.txt", b"?"), r"/accordion: found notes\.txt where image_0034\.jpg"),
        (only_image(f"{CALTECH}/Faces"), r"/Faces: found 1 images, expected at least 2"),
        (without_folders(CALTECH, "Faces", "accordion"), r"/101_ObjectCategories: found 0 folders of images"),
    ],
}

CASES = [
    pytest.param(name, damage, told, id=f"{name}-{number}")
    for name, cases in DAMAGED.items()
    for number, (damage, told) in enumerate(cases)
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "damage", "told"), CASES)
def test_damage_is_named(name, damage, told, tmp_path):
    folder = write_tiny(name, tmp_path)
    damage(folder)
    with pytest.raises(BadInputError, match=told):
        get_dataset(name).open(folder)
