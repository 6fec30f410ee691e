"""From annotation files in COCO's form to images with their objects, with all that is wrong in one list."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bissl_ray.data.datasets.coco_layout import names_below
from bissl_ray.data.files.class_folders import names_content, unlisted
from bissl_ray.data.files.coco_json import CocoFile, read_coco
from bissl_ray.data.files.formats import SMALL, look_at_small
from bissl_ray.data.files.left_out import absent_images, refuse_annotations, refuse_unread
from bissl_ray.data.files.sources import ImageFiles
from bissl_ray.data.objects import Objects, ObjectsOfImages
from bissl_ray.data.spec import Labelled
from bissl_ray.errors import BadInputError

_CHUNK = 1000
_THREADS = 16


@dataclass(frozen=True)
class CocoParts:
    """What the annotation files of a folder say.

    Attributes:
        parts: the images of each part with their objects.
        class_names: of the categories that have objects.
        contents: bytes that change when files or objects do.
        left_out: a line for each annotation that isn't used.
    """

    parts: Mapping[str, Labelled]
    class_names: Sequence[str]
    contents: Sequence[bytes]
    left_out: Sequence[str]


def read_parts(folder: Path, files: Mapping[str, Path], remedy: str) -> CocoParts:
    """Read annotation files.

    Args:
        folder: the data folder, which images are named from.
        files: of each part.
        remedy: what to do about annotations that can't be right.

    Raises:
        AnnotationsError: there are such; all of them.
        LeftOutError: image files that are absent, or can't be read.
        BadInputError: a file that can't be read.
    """
    read: dict[str, _Part] = {}
    for part, path in files.items():
        file = read_coco(path)
        images = ImageFiles(folder, names_below(folder, path, part, file.names))
        read[part] = _Part(file, images, _sizes(images))
    _check_once(read)
    classes = _classes([part.file for part in read.values()])
    number = {name: place for place, name in enumerate(classes)}
    left_out: list[str] = []
    targets = {part: _objects(each, number, left_out) for part, each in read.items()}
    absent = [
        f"{each.images.name(index)}: named in {each.file.path.name} but absent"
        for each in read.values()
        for index in np.flatnonzero(each.sizes < 0).tolist()
    ]
    lines = [line for each in read.values() for line in each.file.lines]
    refuse_annotations(lines + absent if lines else [], remedy)
    _check_files(list(read.values()), absent)
    contents = [
        content
        for part, each in read.items()
        for content in (targets[part].digest(), names_content(each.images.names), each.sizes.astype("<i8").tobytes())
    ]
    labelled = {part: Labelled(each.images, targets[part]) for part, each in read.items()}
    return CocoParts(labelled, classes, [names_content(classes), *contents], left_out)


@dataclass(frozen=True)
class _Part:
    """A file, the images that it names, and the bytes of each, -1 where it is absent."""

    file: CocoFile
    images: ImageFiles
    sizes: NDArray[np.int64]


def _sizes(images: ImageFiles) -> NDArray[np.int64]:
    def of_some(start: int) -> list[int]:
        found = []
        for index in range(start, min(start + _CHUNK, len(images))):
            path = Path(images.name(index))
            try:
                found.append(path.stat().st_size if path.is_file() else -1)
            except OSError as error:
                raise unlisted(error) from error
        return found

    with ThreadPoolExecutor(_THREADS) as threads:
        chunks = threads.map(of_some, range(0, len(images), _CHUNK))
        return np.array([size for chunk in chunks for size in chunk], np.int64)


def _check_once(read: Mapping[str, _Part]) -> None:
    """Each image file may be named once, in one part."""
    seen: dict[str, tuple[CocoFile, str]] = {}
    for each in read.values():
        for name, key in zip(each.images.names, each.file.image_ids, strict=True):
            if name in seen:
                first, other = seen[name]
                where = f" of {first.path.name}" if first is not each.file else ""
                each.file.say(f"image {key}", f"has the file {name}, as image {other}{where} has")
            seen.setdefault(name, (each.file, key))


def _classes(files: Sequence[CocoFile]) -> list[str]:
    """The categories that have objects, in the order of the first file's; adds lines on those that a file lacks."""
    order = list(dict.fromkeys(name for file in files for name in file.categories))
    uses: dict[str, CocoFile] = {}
    for file in files:
        for place in np.unique(file.category).tolist():
            uses.setdefault(file.categories[place], file)
    for file in files:
        # One without any is said already.
        for name in order if file.categories else ():
            if name in uses and name not in file.categories:
                file.lines.append(
                    f"{file.path}: has no category {name!r}, which {uses[name].path} has; expected the same in both"
                )
    return [name for name in order if name in uses]


def _objects(part: _Part, number: Mapping[str, int], left_out: list[str]) -> ObjectsOfImages:
    """The objects of each image, cut at its frame; adds lines on those outside, and on those of no area."""
    file, sides = part.file, _sides(part)
    frame = sides[file.image][:, ::-1].astype(np.float64)
    known = (frame > 0).all(axis=1)
    near = file.boxes[:, :2]
    with np.errstate(over="ignore"):  # of boxes larger than any number: they are cut as others are
        far = near + file.boxes[:, 2:]
    flat = (far <= near).any(axis=1)
    outside = ~flat & known & ((far <= 0) | (near >= frame)).any(axis=1)
    for place in np.flatnonzero(outside).tolist():
        image = file.image[place]
        width, height = frame[place].astype(int).tolist()
        file.say(
            f"annotation {file.ids[place]}",
            f"its box {_shown(file, place)} lies outside image {file.image_ids[image]} ({file.names[image]}, {width} x "
            f"{height})",
        )
    near, far = np.clip(near, 0, frame), np.clip(far, 0, frame)
    shares = np.concatenate([near, far], axis=1) / np.maximum(np.concatenate([frame, frame], axis=1), 1)
    usable = known & ~outside & (shares[:, 2:] > shares[:, :2]).all(axis=1)
    left_out.extend(
        f"{file.path}, annotation {file.ids[place]}: its box {_shown(file, place)} has no area"
        for place in np.flatnonzero(known & ~outside & ~usable).tolist()
    )
    chosen = np.flatnonzero(usable)
    chosen = chosen[np.argsort(file.image[chosen], kind="stable")]
    classes = np.array([number.get(name, 0) for name in file.categories] or [0], np.int64)
    areas = np.where(file.areas > 0, file.areas, (far - near).prod(axis=1))
    none = np.zeros(len(chosen), np.bool_)
    objects = Objects(shares[chosen], classes[file.category[chosen]], file.crowd[chosen], none, areas[chosen], 0, 0, "")
    counts = np.bincount(file.image[chosen], minlength=len(sides))
    return ObjectsOfImages.of_arrays(counts, objects, sides, file.image_ids)


def _shown(file: CocoFile, place: int) -> str:
    return "[" + ", ".join(f"{number:g}" for number in file.boxes[place]) + "]"


def _sides(part: _Part) -> NDArray[np.int64]:
    """Height and width of each image, from its file where the annotations don't say; 0 where it can't be known."""
    sides = part.file.sides.copy()
    for index in np.flatnonzero((sides == 0).any(axis=1) & (part.sizes > 0)).tolist():
        try:
            sides[index] = part.images.size(index)[::-1]
        except BadInputError as error:
            part.file.say(f"image {part.file.image_ids[index]}", f"has no width and height, and {error}")
    return sides


def _check_files(parts: Sequence[_Part], absent: Sequence[str]) -> None:
    """Refuse image files that are absent, or too small to be images."""
    if absent:
        there = [Path(each.images.name(index)) for each in parts for index in np.flatnonzero(each.sizes >= 0).tolist()]
        raise absent_images(absent, there, "put the complete images there, or take them out of the annotations")
    small = [
        (Path(each.images.name(index)), why)
        for each in parts
        for index in np.flatnonzero(each.sizes <= SMALL).tolist()
        if (why := look_at_small(each.images.name(index), int(each.sizes[index]))) is not None
    ]
    wrong = {path for path, _ in small}
    names = (Path(each.images.name(index)) for each in parts for index in range(len(each.images)))
    refuse_unread(small, (path for path in names if path not in wrong))
