"""Write tiny VOC 2007 and 2012 in their real layout, for detection: coloured shapes on textured ground."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ("tvmonitor", "bottle", "sheep")
"""What a square, a disc and a triangle are called."""

_COLOURS = ((210, 60, 50), (50, 170, 70), (60, 90, 220))
_YEARS = {("VOC2007", "trainval"): "{:06d}", ("VOC2007", "test"): "9{:05d}", ("VOC2012", "trainval"): "2012_{:06d}"}

Box = tuple[int, int, int, int]
"""Left, top, right and bottom edge, in pixels from 0."""


class Shape(NamedTuple):
    """One drawn object."""

    name: str
    box: Box
    difficult: bool


class Scene(NamedTuple):
    """One image; of every third one the last shape is difficult, and one has none."""

    year: str
    part: str
    name: str
    picture: Image.Image
    shapes: list[Shape]


def write(
    folder: Path, trainval2007: int = 8, trainval2012: int = 8, test: int = 8, side: int = 64, seed: int = 0
) -> Path:
    """Write the layout into `folder` and return it; see `scenes`."""
    listed: dict[Path, list[str]] = {}
    for scene in scenes(trainval2007, trainval2012, test, side, seed):
        root = Path(folder) / "VOCdevkit" / scene.year
        for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (root / name).mkdir(parents=True, exist_ok=True)
        scene.picture.save(root / "JPEGImages" / f"{scene.name}.jpg", quality=92)
        write_annotations(root / "Annotations" / f"{scene.name}.xml", scene)
        listed.setdefault(root / "ImageSets" / "Main" / f"{scene.part}.txt", []).append(scene.name)
    for path, names in listed.items():
        path.write_text("".join(f"{name}\n" for name in names))
    return Path(folder)


def write_tiny_voc0712(root: Path) -> Path:
    """Write it with the sizes that `write` has by itself."""
    return write(root)


def scenes(
    trainval2007: int = 8, trainval2012: int = 8, test: int = 8, side: int = 64, seed: int = 0
) -> Iterator[Scene]:
    """Draw the scenes that `write` writes.

    Args:
        trainval2007: how many.
        trainval2012: how many; the last has no object.
        test: how many.
        side: width of each, and height of every second one; the others are a quarter lower.
        seed: others look otherwise.
    """
    draw = np.random.RandomState(seed)
    for (year, part), count in zip(_YEARS, (trainval2007, test, trainval2012), strict=True):
        for place in range(count):
            empty = year == "VOC2012" and place == count - 1
            size = (side, side if place % 2 else 3 * side // 4)
            picture = _ground(size, draw)
            shapes = [] if empty else _draw_shapes(picture, place, draw)
            yield Scene(year, part, _YEARS[year, part].format(place + 1), picture, shapes)


def _ground(size: tuple[int, int], draw: np.random.RandomState) -> Image.Image:
    coarse = Image.fromarray(draw.randint(70, 190, (5, 5), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = draw.randint(-20, 21, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.asarray(coarse, np.int64)[..., None] + grain, 0, 255).astype(np.uint8))


def _draw_shapes(picture: Image.Image, place: int, draw: np.random.RandomState) -> list[Shape]:
    """Draw one to three that don't touch; the first is of a class after another."""
    few_difficult = place % 3 == 0
    wanted = int(draw.randint(2 if few_difficult else 1, 4))
    shapes: list[Shape] = []
    for _ in range(60):
        box = _somewhere(picture.size, draw)
        if len(shapes) < wanted and not any(_touch(box, shape.box) for shape in shapes):
            kind = int(draw.randint(3)) if shapes else place % 3
            _draw_one(picture, kind, box, draw)
            shapes.append(Shape(SHAPES[kind], box, False))
    if few_difficult and len(shapes) > 1:
        shapes[-1] = shapes[-1]._replace(difficult=True)
    return shapes


def _somewhere(size: tuple[int, int], draw: np.random.RandomState) -> Box:
    width, height = size
    across = int(draw.randint(width // 4, width // 2))
    left, top = int(draw.randint(width - across + 1)), int(draw.randint(height - across + 1))
    return left, top, left + across, top + across


def _touch(one: Box, other: Box) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _draw_one(picture: Image.Image, kind: int, box: Box, draw: np.random.RandomState) -> None:
    left, top, right, bottom = box[0], box[1], box[2] - 1, box[3] - 1
    red, green, blue = (int(level + draw.randint(-25, 26)) for level in _COLOURS[kind])
    pen = ImageDraw.Draw(picture)
    if kind == 0:
        pen.rectangle((left, top, right, bottom), fill=(red, green, blue))
    elif kind == 1:
        pen.ellipse((left, top, right, bottom), fill=(red, green, blue))
    else:
        pen.polygon([((left + right) // 2, top), (left, bottom), (right, bottom)], fill=(red, green, blue))


def write_annotations(path: Path, scene: Scene) -> None:
    """Write them as the devkit does: pixels from 1, both corners inside; of 2012, with a decimal."""
    root = ElementTree.Element("annotation")
    for tag, text in (("folder", scene.year), ("filename", f"{path.stem}.jpg"), ("segmented", "0")):
        ElementTree.SubElement(root, tag).text = text
    size = ElementTree.SubElement(root, "size")
    for tag, side in (("width", scene.picture.width), ("height", scene.picture.height), ("depth", 3)):
        ElementTree.SubElement(size, tag).text = str(side)
    for shape in scene.shapes:
        element = ElementTree.SubElement(root, "object")
        fields = {"name": shape.name, "pose": "Left", "truncated": "0", "difficult": str(int(shape.difficult))}
        if shape.name == "sheep":
            # Before the object's own, as some files of 2012 have them.
            _write_part(element, shape.box)
        for tag, text in fields.items():
            ElementTree.SubElement(element, tag).text = text
        _write_box(element, shape.box, "{}.0" if scene.year == "VOC2012" else "{}")
    ElementTree.ElementTree(root).write(path)


def _write_part(element: ElementTree.Element, box: Box) -> None:
    part = ElementTree.SubElement(element, "part")
    ElementTree.SubElement(part, "name").text = "head"
    _write_box(part, (box[0], box[1], box[2], (box[1] + box[3]) // 2), "{}")


def _write_box(element: ElementTree.Element, box: Box, form: str) -> None:
    inside = ElementTree.SubElement(element, "bndbox")
    corners = {"xmax": box[2], "xmin": box[0] + 1, "ymax": box[3], "ymin": box[1] + 1}
    for tag, place in corners.items():
        ElementTree.SubElement(inside, tag).text = form.format(place)
