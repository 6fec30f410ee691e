"""Where the annotations and the images lie in a folder in COCO's form, which nobody lays out alike."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from bissl_ray.data.files.class_folders import subfolders, unlisted
from bissl_ray.data.files.formats import is_ignored
from bissl_ray.data.files.split_words import PARTS, part_hinted
from bissl_ray.errors import BadInputError

ALONE: Final = "all"
"""What a file is the part of where there is no other."""
_BESIDE: Final = ("captions_", "person_keypoints_", "image_info_", "stuff_", "panoptic_")
"""What COCO publishes beside the objects: files that begin so are passed over."""
_ANNOTATIONS: Final = ("annotations", "annotation", "annots", "labels")
_IMAGES: Final = ("images", "image", "imgs", "img", "data")
_ROBOFLOW: Final = "_annotations.coco.json"
_FIRST_FEW: Final = 100


def annotation_files(folder: Path) -> list[Path]:
    """The annotation files of a data folder: of annotations/, else of the folders of its parts, else its own."""
    inside = subfolders(folder)
    in_parts = [_json_files(folder / name) for name in inside if part_hinted(name) is not None]
    exported = [path for paths in in_parts for path in paths if path.name == _ROBOFLOW]
    in_annotations = [path for name in inside if name.casefold() in _ANNOTATIONS for path in _json_files(folder / name)]
    return in_annotations or exported or _json_files(folder) or [path for paths in in_parts for path in paths]


def _json_files(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - of a folder of a million images
    except OSError as error:
        raise unlisted(error) from error
    fit = [name for name in names if name.casefold().endswith(".json") and not is_ignored(name)]
    return [folder / name for name in fit if not name.casefold().startswith(_BESIDE)]


def parts_of(folder: Path, files: Sequence[Path]) -> dict[str, Path]:
    """The annotation file of each part, in this order: "train", and "val" or "test" or both; or of `ALONE`.

    Raises:
        BadInputError: there is none, several of a part, one that says no part beside others, or none of "train".
    """
    if not files:
        further = [name for name in subfolders(folder) if annotation_files(folder / name)]
        hint = f"; they seem to be further in: give --data-dir {folder / further[0]}" if further else ""
        raise BadInputError(
            f"{folder}: found no file of annotations, expected annotations/*.json as COCO has them, one a part or one "
            f"of all images{hint}"
        )
    if len(files) == 1:
        return {ALONE: files[0]}
    parts: dict[str, Path] = {}
    for path in files:
        part = _part_of(folder, path)
        if part is None or part == "unlabelled":
            raise BadInputError(
                f"{path}: found beside {len(files) - 1} other{'s' if len(files) > 2 else ''}, and its name says none "
                "of the parts train, val and test; rename it, or move it away"
            )
        if part in parts:
            raise BadInputError(
                f"{folder}: {_below(folder, parts[part])} and {_below(folder, path)} both say that they are the {part} "
                "part; expected one of them: move the other away"
            )
        parts[part] = path
    if "train" not in parts:
        raise BadInputError(
            f"{folder}: found {' and '.join(_below(folder, path) for path in files)} without annotations of training "
            "images; expected train and test, val beside them if you have it, or one file of all images"
        )
    # Classes are numbered as those of the training images are.
    return {part: parts[part] for part in PARTS if part in parts}


def _part_of(folder: Path, path: Path) -> str | None:
    said = part_hinted(path.stem.replace("trainval", "train"))
    return said or (None if path.parent == folder else part_hinted(path.parent.name))


def _below(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def names_below(folder: Path, path: Path, part: str, names: Sequence[str]) -> list[str]:
    """Where the images of an annotation file lie, relative to the data folder.

    Args:
        folder: the data folder.
        path: the annotation file.
        part: which it is of.
        names: as the file has them; of the places that they may be relative to, the first counts that has the first
            image, or else one of the first few.
    """
    names = [name.strip().replace("\\", "/") for name in names]
    places = list(dict.fromkeys(_places(folder, path, part)))
    first_few = names[:_FIRST_FEW]
    found = (place for name in first_few for place in places if (folder / place / name).is_file())
    # Where none is there, they are reported as of the place that is the most usual.
    usual = next((place for place in places[1:] if place != "."), places[0])
    base = next(found, usual)
    return [os.path.normpath(os.path.join(base, name)) for name in names]  # noqa: PTH118 - of a million


def _places(folder: Path, path: Path, part: str) -> Iterator[str]:
    inside = subfolders(folder)
    images = [name for name in inside if name.casefold() in _IMAGES]
    within: Mapping[str, list[str]] = {name: subfolders(folder / name) for name in images}
    called = {path.stem.removeprefix("instances_"), path.stem}
    wanted: tuple[Callable[[str], bool], ...] = (called.__contains__, lambda name: part_hinted(name) == part)
    yield PurePosixPath(_below(folder, path)).parent.as_posix()
    yield from images
    for fits in wanted:
        yield from (f"{name}/{inner}" for name in images for inner in within[name] if fits(inner))
        yield from (name for name in inside if fits(name))
    yield "."
    if part == ALONE:
        yield from (f"{name}/{inner}" for name in images for inner in within[name])
        yield from inside
