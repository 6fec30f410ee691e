"""One annotation file in COCO's form, as columns: COCO's own training images have 860,000 objects in 450 MB.

What is wrong with an entry is a line with the file and the entry's id; the entry is then left out of the columns, so
that all that is wrong is found in one pass.
"""

import gc
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bissl_ray.data.files.class_folders import unlisted
from bissl_ray.data.files.coco_columns import are_numbers, boxes_in, numbers_in, places_of
from bissl_ray.data.files.coco_names import is_file_name, is_id, is_line
from bissl_ray.data.files.coco_outlines import without_outlines

_LISTS: Final = ("images", "annotations", "categories")
_REFUSED: Final = -1
"""Place of an image or category that is wrong by itself: what refers to it says nothing more."""
_UNKNOWN: Final = -2
_MOST: Final = 2**31
"""Pixels of a side: what says more, or that it isn't a number, says nothing."""

_Rows = Sequence[dict[str, Any]]


@dataclass
class CocoFile:
    """What is right in one file.

    Attributes:
        path: the file.
        lines: on what is wrong.
        image_ids: as the file has them, as text.
        names: `file_name` of each image.
        sides: int64 (images, 2): annotated height and width, 0 where they aren't given.
        categories: their names, in the order of their ids.
        ids: of each annotation, as the file has it, or its place in the file.
        image: the place of each one's image.
        category: the place of each one's category.
        boxes: float64 (annotations, 4): left, top, width, height in pixels.
        crowd: of each annotation.
        areas: as given, NaN where they aren't.
    """

    path: Path
    lines: list[str] = field(default_factory=list)
    image_ids: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    sides: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    categories: list[str] = field(default_factory=list)
    ids: Sequence[object] = ()
    image: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    category: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    boxes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    crowd: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    areas: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def say(self, place: str, what: str) -> None:
        """Add a line on an entry, such as "annotation 7"."""
        self.lines.append(f"{self.path}, {place}: {what}")


def read_coco(path: Path) -> CocoFile:
    """Read a file in COCO's form.

    Raises:
        BadInputError: it can't be read at all.
    """
    file = CocoFile(path)
    # Millions of small objects, none of them in a circle: the collector would go through them again and again.
    collects = gc.isenabled()
    gc.disable()
    try:
        lists = _lists(file)
        if lists is not None:
            images = _read_images(file, lists["images"])
            categories = _read_categories(file, lists["categories"])
            _read_annotations(file, lists["annotations"], images, categories)
    finally:
        if collects:
            gc.enable()
    return file


def _lists(file: CocoFile) -> dict[str, _Rows] | None:
    try:
        document = json.loads(without_outlines(file.path.read_bytes()).decode("utf-8-sig"))
    except OSError as error:
        raise unlisted(error) from error
    except (ValueError, RecursionError) as error:
        packed = file.path.open("rb").read(2) == b"\x1f\x8b"
        found = "a gzip archive; unpack it" if packed else f"no JSON ({error})"
        file.lines.append(f"{file.path}: found {found}, expected annotations as COCO has them")
        return None
    if not isinstance(document, dict) or not all(isinstance(document.get(key), list) for key in _LISTS):
        found = f"the keys {', '.join(map(str, document))[:200] or 'of nothing'}" if isinstance(document, dict) else ""
        found = found or f"JSON that is {'a list' if isinstance(document, list) else 'a single value'}"
        file.lines.append(f"{file.path}: found {found}, expected COCO's lists images, annotations and categories")
        return None
    lists: dict[str, _Rows] = {}
    for key, what in zip(_LISTS, ("image", "annotation", "category"), strict=True):
        if not document[key]:
            file.lines.append(f"{file.path}: lists no {what}, expected one or more under {key!r}")
        rows = lists[key] = [row for row in document[key] if isinstance(row, dict)]
        if len(rows) < len(document[key]):
            wrong = next(number for number, row in enumerate(document[key], 1) if not isinstance(row, dict))
            file.say(f"entry {wrong} of {key!r}", f"found {document[key][wrong - 1]!r:.60}, expected an object of JSON")
    return lists


def _read_images(file: CocoFile, rows: _Rows) -> dict[object, int]:
    """Fill in the images; returns each one's place by its id."""
    places: dict[object, int] = {}
    sides: list[list[Any]] = []
    for number, row in enumerate(rows, 1):
        key, name = row.get("id"), row.get("file_name")
        if not is_id(key):
            file.say(f"image number {number}", f"found the id {key!r}, expected a number or text ({name!r:.80})")
        elif key in places:
            first = f" ({file.names[places[key]]} first)" if places[key] >= 0 else ""
            file.say(f"image {key}", f"two images have this id; {name!r} is the second{first}")
        elif not isinstance(name, str) or not name.strip():
            file.say(f"image {key}", "has no file_name")
            places[key] = _REFUSED
        elif not is_file_name(name):
            file.say(f"image {key}", f"its file_name {name!r:.80} can't be that of a file")
            places[key] = _REFUSED
        else:
            places[key] = len(file.names)
            file.names.append(name)
            file.image_ids.append(str(key))
            sides.append([row.get("height"), row.get("width")])
    usable = [pair if are_numbers(pair) and all(1 <= side < _MOST for side in pair) else (0, 0) for pair in sides]
    file.sides = np.rint(np.array(usable, np.float64)).astype(np.int64).reshape(-1, 2)
    return places


def _read_categories(file: CocoFile, rows: _Rows) -> dict[object, int]:
    """Fill in the categories; returns each one's place by its id."""
    named: dict[object, str] = {}
    refused: list[object] = []
    for number, row in enumerate(rows, 1):
        key, name = row.get("id"), row.get("name")
        if not is_id(key):
            file.say(f"category number {number}", f"found the id {key!r}, expected a number or text ({name!r:.80})")
        elif key in named:
            file.say(f"category {key}", f"two categories have this id: {named[key]!r} and {name!r}")
        elif not is_line(name):
            file.say(f"category {key}", f"found the name {name!r:.80}, expected text of one line")
            refused.append(key)
        elif name in named.values():
            first = next(other for other, known in named.items() if known == name)
            file.say(f"category {key}", f"is called {name!r} as category {first} is")
            refused.append(key)
        else:
            named[key] = name
    ordered = sorted(named, key=lambda key: (isinstance(key, str), key))
    file.categories = [named[key] for key in ordered]
    return dict.fromkeys(refused, _REFUSED) | {key: place for place, key in enumerate(ordered)}


def _read_annotations(
    file: CocoFile, rows: _Rows, images: Mapping[object, int], categories: Mapping[object, int]
) -> None:
    given = [row.get("id") for row in rows]
    ids = [key if is_id(key) else f"number {number}" for number, key in enumerate(given, 1)]
    hashable = [key for key in given if is_id(key)]
    if len(set(hashable)) < len(hashable):
        for key, times in Counter(hashable).items():
            if times > 1:
                file.say(f"annotation {key}", f"{times} annotations have this id")
    right: NDArray[np.bool_] = np.ones(len(rows), np.bool_)
    places = {}
    for key, what, known in (("image_id", "image", images), ("category_id", "category", categories)):
        asked = [row.get(key) for row in rows]
        places[what] = places_of(asked, known, _UNKNOWN)
        right = right & (places[what] >= 0)
        for place in np.flatnonzero(places[what] == _UNKNOWN).tolist():
            file.say(f"annotation {ids[place]}", f"its {key} {asked[place]!r} is that of no {what}")
    found = [row.get("bbox") for row in rows]
    boxes, formed = boxes_in(found)
    finite: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(boxes), axis=1)
    fit = finite & (boxes[:, 2:] >= 0).all(axis=1)
    for place in np.flatnonzero(~(formed & fit)).tolist():
        what = "a width or height below 0" if finite[place] else "a number that isn't finite"
        said = f"its bbox {found[place]!r:.80} has {what}"
        if not formed[place]:
            said = f"found {found[place]!r:.80} for its bbox, expected four numbers: left, top, width, height"
        file.say(f"annotation {ids[place]}", "has no bbox" if found[place] is None else said)
    right = right & formed & fit
    file.ids = ids if right.all() else [ids[place] for place in np.flatnonzero(right).tolist()]
    file.image, file.category, file.boxes = places["image"][right], places["category"][right], boxes[right]
    crowd: NDArray[np.bool_] = np.fromiter((row.get("iscrowd") in (1, "1") for row in rows), np.bool_, len(rows))
    file.crowd = crowd[right]
    file.areas = numbers_in([row.get("area") for row in rows])[right]
