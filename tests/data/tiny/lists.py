"""Write tiny datasets in real layouts whose images are listed in files: real JPEGs, text, JSON and .mat files."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.io import savemat

from tests.data.tiny.drawing import write_image

CLASSES = 3
PER_CLASS = {"train": 8, "val": 3, "test": 3}
"""Images per class where validation images are published; else those of training and test alone."""

Images = list[tuple[int, int]]
"""Label from 0 and number from 1 of each image, classes taking turns, no number used twice in a class."""


def _write_parts(parts: tuple[str, ...], path: Callable[[int, int], Path]) -> dict[str, Images]:
    """Write the images of the parts named, each at the path of its label and number."""
    draw = np.random.RandomState(0)
    written: dict[str, Images] = {}
    first = 1
    for part in parts:
        numbers = range(first, first + PER_CLASS[part])
        written[part] = [(label, number) for number in numbers for label in range(CLASSES)]
        for label, number in written[part]:
            write_image(path(label, number), label, CLASSES, draw)
        first = numbers.stop
    return written


def _write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines))


def write_tiny_food(root: Path) -> Path:
    """Food-101: images by class, and lists in JSON."""
    dishes = ["apple_pie", "baklava", "waffles"]
    folder = root / "food-101"
    parts = _write_parts(("train", "test"), lambda label, n: folder / "images" / dishes[label] / f"{1000 + n}.jpg")
    (folder / "meta").mkdir()
    for part, images in parts.items():
        by_class: dict[str, list[str]] = {dish: [] for dish in dishes}
        for label, number in images:
            by_class[dishes[label]].append(f"{dishes[label]}/{1000 + number}")
        (folder / "meta" / f"{part}.json").write_text(json.dumps(by_class))
    return root


def write_tiny_dtd(root: Path) -> Path:
    """Describable Textures: images by class, and lists of CLASS/IMAGE."""
    textures = ["banded", "braided", "zigzagged"]
    folder = root / "dtd" / "dtd"

    def name(label: int, number: int) -> str:
        return f"{textures[label]}/{textures[label]}_{number:04d}.jpg"

    parts = _write_parts(("train", "val", "test"), lambda label, n: folder / "images" / name(label, n))
    for part, images in parts.items():
        _write_lines(folder / "labels" / f"{part}1.txt", [name(*image) for image in images])
    return root


def write_tiny_pets(root: Path) -> Path:
    """Oxford-IIIT Pets: images in one folder, and lists of name, class, species and breed."""
    breeds = ["Abyssinian", "american_bulldog", "Bengal"]
    folder = root / "oxford-iiit-pet"
    parts = _write_parts(("train", "test"), lambda label, n: folder / "images" / f"{breeds[label]}_{n}.jpg")
    for part, images in {"trainval": parts["train"], "test": parts["test"]}.items():
        lines = [f"{breeds[label]}_{number} {label + 1} {1 + label % 2} 1" for label, number in images]
        _write_lines(folder / "annotations" / f"{part}.txt", lines)
    return root


def write_tiny_flowers(root: Path) -> Path:
    """Oxford 102 Flowers: numbered images in one folder, labels and parts in .mat files."""
    folder = root / "flowers-102"

    def place(label: int, number: int) -> int:
        return (number - 1) * CLASSES + label + 1

    parts = _write_parts(("train", "val", "test"), lambda label, n: folder / "jpg" / f"image_{place(label, n):05d}.jpg")
    labels = {place(*image): image[0] + 1 for images in parts.values() for image in images}
    savemat(folder / "imagelabels.mat", {"labels": np.array([[labels[n] for n in sorted(labels)]], dtype=np.uint8)})
    fields = {"trnid": "train", "valid": "val", "tstid": "test"}
    rows = {field: np.array([[place(*image) for image in parts[part]]], np.uint16) for field, part in fields.items()}
    savemat(folder / "setid.mat", rows)
    return root


def write_tiny_aircrafts(root: Path) -> Path:
    """FGVC Aircraft: numbered images in one folder, lists of number and variant."""
    variants = ["707-320", "Boeing 717", "F/A-18"]
    data = root / "fgvc-aircraft-2013b" / "data"

    def name(label: int, number: int) -> str:
        return f"{100 * number + label:07d}"

    parts = _write_parts(("train", "val", "test"), lambda label, n: data / "images" / f"{name(label, n)}.jpg")
    _write_lines(data / "variants.txt", variants)
    for part, images in parts.items():
        lines = [f"{name(*image)} {variants[image[0]]}" for image in images]
        _write_lines(data / f"images_variant_{part}.txt", lines)
    return root


def write_tiny_cub200(root: Path) -> Path:
    """CUB-200-2011: images by class, and four tables; training and test images take turns, as they do there."""
    birds = ["001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross"]
    folder = root / "CUB_200_2011"

    def name(label: int, number: int) -> str:
        return f"{birds[label]}/{birds[label][4:]}_{number:04d}_{796111 + number}.jpg"

    parts = _write_parts(("train", "test"), lambda label, n: folder / "images" / name(label, n))
    images = sorted((image, part) for part, images in parts.items() for image in images)
    images.sort(key=lambda entry: (entry[0][0], entry[0][1] % 4))
    numbered = list(enumerate(images, start=1))
    _write_lines(folder / "classes.txt", [f"{number} {bird}" for number, bird in enumerate(birds, start=1)])
    _write_lines(folder / "images.txt", [f"{n} {name(*image)}" for n, (image, _) in numbered])
    _write_lines(folder / "image_class_labels.txt", [f"{n} {image[0] + 1}" for n, (image, _) in numbered])
    _write_lines(folder / "train_test_split.txt", [f"{n} {int(part == 'train')}" for n, (_, part) in numbered])
    return root


def write_tiny_sun397(root: Path) -> Path:
    """SUN397: images by scene in folders of two or three levels, and the first partition."""
    scenes = ["/a/abbey", "/a/apartment_building/outdoor", "/z/zoo"]
    folder = root / "SUN397"

    def name(label: int, number: int) -> str:
        return f"{scenes[label]}/sun_{'abcdefghijkl'[number]}{'a' * 15}.jpg"

    parts = _write_parts(("train", "test"), lambda label, n: folder / name(label, n)[1:])
    _write_lines(folder / "ClassName.txt", scenes)
    for part, images in {"Training": parts["train"], "Testing": parts["test"]}.items():
        _write_lines(folder / "Partitions" / f"{part}_01.txt", [name(*image) for image in sorted(images)])
    return root


def write_tiny_caltech101(root: Path) -> Path:
    """Caltech 101: images by class, without any list; 32 and 33 of two kinds, so that 30 of each are trained on."""
    kinds = {"Faces": 32, "accordion": 33, "BACKGROUND_Google": 2}
    draw = np.random.RandomState(0)
    for label, (kind, count) in enumerate(kinds.items()):
        for number in range(1, count + 1):
            path = root / "caltech101" / "101_ObjectCategories" / kind / f"image_{number:04d}.jpg"
            write_image(path, label, len(kinds), draw)
    return root
