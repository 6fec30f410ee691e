"""Write a tiny VOC 2007 in its real layout: image lists, and annotations in XML as the devkit has them."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from bissl_ray.data.files.voc import CLASSES
from tests.data.tiny.drawing import SIZE, draw_bar

SHOWN_TOGETHER = 7
"""Image n shows class n and class n + 7; every third one a further object that is difficult."""


def write_tiny_voc07(root: Path, train: int = 40, val: int = 20, test: int = 20) -> Path:
    """Write the layout under `root` and return it."""
    folder = Path(root) / "VOCdevkit" / "VOC2007"
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    draw = np.random.RandomState(0)
    number = 0
    for part, count in (("train", train), ("val", val), ("test", test)):
        names = [f"{number + place:06d}" for place in range(1, count + 1)]
        for name in names:
            _write_image(folder, name, number % len(CLASSES), draw)
            number += 1
        (folder / "ImageSets" / "Main" / f"{part}.txt").write_text("".join(f"{name}\n" for name in names))
    return Path(root)


def _write_image(folder: Path, name: str, first: int, draw: np.random.RandomState) -> None:
    classes = [first, (first + SHOWN_TOGETHER) % len(CLASSES)]
    picture = Image.new("RGB", (SIZE[0], 2 * SIZE[1]))
    for place, label in enumerate(classes):
        picture.paste(draw_bar(label, len(CLASSES), draw), (0, place * SIZE[1]))
    picture.save(folder / "JPEGImages" / f"{name}.jpg", quality=92)
    objects = [(CLASSES[label], False) for label in classes]
    if first % 3 == 0:
        objects.append((CLASSES[(first + 1) % len(CLASSES)], True))
    write_annotations(folder / "Annotations" / f"{name}.xml", objects)


def write_annotations(path: Path, objects: list[tuple[str, bool]]) -> None:
    """Write the annotations of one image.

    Args:
        path: the file.
        objects: class of each object, and whether it is difficult.
    """
    root = ElementTree.Element("annotation")
    for tag, text in (("folder", "VOC2007"), ("filename", f"{path.stem}.jpg"), ("segmented", "0")):
        ElementTree.SubElement(root, tag).text = text
    for name, difficult in objects:
        annotated = ElementTree.SubElement(root, "object")
        fields = {"name": name, "pose": "Left", "truncated": "0", "difficult": str(int(difficult))}
        for tag, text in fields.items():
            ElementTree.SubElement(annotated, tag).text = text
        box = ElementTree.SubElement(annotated, "bndbox")
        for tag, side in (("xmin", 3), ("ymin", 5), ("xmax", 40), ("ymax", 30)):
            ElementTree.SubElement(box, tag).text = str(side)
        if name == "person":
            part = ElementTree.SubElement(annotated, "part")
            ElementTree.SubElement(part, "name").text = "head"
    ElementTree.ElementTree(root).write(path)
