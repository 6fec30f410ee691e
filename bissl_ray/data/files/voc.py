"""The files of PASCAL VOC: image lists, and an XML file of annotations per image (Everingham et al. 2010)."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from bissl_ray.data.files.left_out import absent_images
from bissl_ray.data.files.plain_data import XmlError, parse_plain_xml
from bissl_ray.errors import BadInputError

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""In the devkit's order."""

_MOST = 2**31
"""Pixels of a side: no image has more."""
_NUMBER = {name: number for number, name in enumerate(CLASSES)}


def read_names(lists: Path, part: str, first_seen: dict[str, str]) -> list[str]:
    """Read the images of one list.

    Args:
        lists: folder of the lists.
        part: which: "trainval".
        first_seen: where each image stood first, in all the lists together; added to.

    Raises:
        BadInputError: an image stands in them twice, or the list is empty.
    """
    path = lists / f"{part}.txt"
    names = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        name = line.strip()
        if not name:
            continue
        if name in first_seen:
            raise BadInputError(
                f"{path}, line {number}: image {name} occurs twice, first in {first_seen[name]}; put the published "
                "lists there"
            )
        first_seen[name] = f"{path.name}, line {number}"
        names.append(name)
    if not names:
        raise BadInputError(f"{path} names no image; expected one a line, such as 000005")
    return names


def check_present(years: Mapping[Path, Mapping[str, Sequence[str]]], remedy: str) -> None:
    """Make sure that every image listed is there, and its annotations.

    Args:
        years: for each year's folder, the images by the list that names them.
        remedy: what to do about absent ones.

    Raises:
        LeftOutError: there are such.
    """
    absent, remaining = [], []
    for root, named in years.items():
        for folder, ending in (("JPEGImages", "jpg"), ("Annotations", "xml")):
            present = {path.name for path in (root / folder).iterdir()}
            for part, names in named.items():
                for file in (f"{name}.{ending}" for name in names):
                    if file not in present:
                        absent.append(f"{root / folder / file}: named in {part}.txt but absent")
                    elif folder == "JPEGImages":
                        remaining.append(root / folder / file)
    if absent:
        raise absent_images(absent, remaining, remedy)


class Annotated(NamedTuple):
    """One object as annotated; the parts of a person are none."""

    number: int
    """Its class, from 0."""
    difficult: bool
    element: Element
    where: str
    """For a person: "object 2 (sheep)"."""


def read_annotations(path: Path, faults: list[str]) -> tuple[Element, list[Annotated]] | None:
    """Read the objects of one image.

    Args:
        path: the XML file.
        faults: what is wrong is added to it, a line each.

    Returns:
        The file's root and its objects of known classes; None: it can't be read.
    """
    try:
        root = parse_plain_xml(path)
    except XmlError as error:
        faults.append(error.fault)
        return None
    objects = []
    for place, element in enumerate(root.iterfind("object"), start=1):
        name = _text(element, "name")
        if name in _NUMBER:
            difficult = _text(element, "difficult") == "1"
            objects.append(Annotated(_NUMBER[name], difficult, element, f"object {place} ({name})"))
        else:
            faults.append(
                f"{path}: annotates an object as {name!r}, expected one of VOC's 20 classes ({', '.join(CLASSES[:3])}, "
                "...)"
            )
    return root, objects


def frame_size(root: Element) -> tuple[int, int] | None:
    """Width and height of an annotated image, in pixels; None: one isn't told, or can't be a side."""
    width, height = (_number(root, f"size/{side}") for side in ("width", "height"))
    if width is None or height is None or not 1 <= min(width, height) <= max(width, height) < _MOST:
        return None
    return int(width), int(height)


def box_in(
    annotated: Annotated, size: tuple[int, int], path: Path, faults: list[str]
) -> tuple[float, float, float, float] | None:
    """An object's left, top, right and bottom edge in pixels, from 0, clipped to the frame.

    VOC counts pixels from 1 and means both corners to be inside.

    Args:
        annotated: the object.
        size: width and height of the frame.
        path: of the file, for what is wrong.
        faults: what is wrong is added to it.

    Returns:
        None: there is no such box.
    """
    # The first alone: boxes of a person's parts are nested deeper.
    box = annotated.element.find("bndbox")
    place = f"{path}: {annotated.where}"
    if box is None:
        faults.append(f"{place} has no bndbox, expected one with xmin, ymin, xmax and ymax")
        return None
    corners = {tag: _number(box, tag) for tag in ("xmin", "ymin", "xmax", "ymax")}
    wrong = [tag for tag, number in corners.items() if number is None]
    if wrong:
        faults.append(f"{place} has {wrong[0]} {_text(box, wrong[0])!r} in its bndbox, expected a number")
        return None
    left, top, right, bottom = (number for number in corners.values() if number is not None)
    for axis, low, high in (("x", left, right), ("y", top, bottom)):
        # Equal ones are a box of one pixel: both ends belong to it.
        if high < low:
            faults.append(f"{place} has {axis}min {low:g} and {axis}max {high:g}, expected the smaller one first")
            return None
    width, height = size
    clipped = max(left - 1, 0.0), max(top - 1, 0.0), min(right, float(width)), min(bottom, float(height))
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        corners_told = f"{left:g}, {top:g}, {right:g}, {bottom:g}"
        faults.append(
            f"{place} has its box at {corners_told}, wholly outside of the frame of {width} x {height} pixels"
        )
        return None
    return clipped


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _number(element: Element, path: str) -> float | None:
    try:
        number = float(_text(element, path))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
