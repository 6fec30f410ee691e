"""Images as annotation files list them: what is wrong with a list is named, with its file and line.

And what every reader refuses about its files: images that are listed but absent, classes that no image shows.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bissl_ray.data.files.class_folders import unlisted
from bissl_ray.data.files.left_out import absent_images
from bissl_ray.data.files.sources import ImageFiles
from bissl_ray.data.objects import ObjectsOfImages
from bissl_ray.data.spec import Label, Labelled, Target
from bissl_ray.errors import BadInputError


def missing_classes(labels: Sequence[Target], classes: int) -> list[int]:
    """The classes, in order, that none of these labels, or objects but crowds, shows."""
    if isinstance(labels, ObjectsOfImages):
        return [number for number, count in enumerate(labels.shown(classes).tolist()) if not count]
    shown: set[int] = set()
    for label in labels:
        shown.update([label] if isinstance(label, int) else (c for c, seen in enumerate(label) if seen == 1))
    return [number for number in range(classes) if number not in shown]


def check_every_class(
    labels: Sequence[Label], classes: int, place: str | Path, names: Sequence[str] | None = None
) -> None:
    """Make sure that the training images show every class.

    Args:
        labels: of the training images.
        classes: how many there are.
        place: file or folder that the labels come from, for the error.
        names: of the classes; None: by number.

    Raises:
        BadInputError: a class has no training image.
    """
    missing = [str(c) if names is None else names[c] for c in missing_classes(labels, classes)]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise BadInputError(
            f"{place}: no training image shows class {', '.join(missing[:5])}{more}; put the complete files there"
        )


@dataclass(frozen=True)
class ImageList:
    """The images of one part of a dataset.

    Attributes:
        path: the file that lists them.
        names: of the image files, with slashes.
        labels: one per image, from 0; they may still lie outside the classes.
        lines: the line of each image in `path`, from 1; None where it has no lines.
    """

    path: Path
    names: Sequence[str]
    labels: Sequence[int]
    lines: Sequence[int] | None = None

    def place(self, index: int) -> str:
        """Where an image is listed, for a person to look it up."""
        return str(self.path.parent / self.short_place(index))

    def short_place(self, index: int) -> str:
        """The same without the folder, for a message that has named a path already."""
        return self.path.name if self.lines is None else f"{self.path.name}, line {self.lines[index]}"


def read_lines(path: Path, pattern: str, expected: str) -> list[re.Match[str]]:
    """Read a text file whose every line is of one form.

    Args:
        path: the file.
        pattern: regular expression that a whole line must match, without the space around it.
        expected: the form in words, for the message: `an image and its class`.

    Returns:
        A match per line.

    Raises:
        BadInputError: the file is no text, has no line, or has one of another form.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: can't be read as text ({error}); put an intact copy there") from error
    form = re.compile(pattern)
    matches = []
    for number, line in enumerate(lines, start=1):
        match = form.fullmatch(line.strip())
        if match is None:
            raise BadInputError(
                f"{path}, line {number}: found {line.strip()[:80]!r}, expected {expected}; put an intact copy there"
            )
        matches.append(match)
    if not matches:
        raise BadInputError(f"{path}: is empty, expected {expected} on each line; put an intact copy there")
    return matches


def agreeing(parts: Sequence[tuple[ImageList, list[str]]]) -> tuple[list[ImageList], list[str]]:
    """The lists of all parts and the classes of the first, where each list has numbered classes of its own.

    Raises:
        BadInputError: a class is in one list alone.
    """
    first, classes = parts[0]
    for other, others in parts[1:]:
        for name in sorted({*classes} ^ {*others}):
            has, lacks = (first, other) if name in classes else (other, first)
            raise BadInputError(
                f"{lacks.path}: lists no image of class {name!r}, which {has.path.name} has; "
                "put files of the same release there"
            )
    return [part for part, _ in parts], classes


def open_lists(folder: Path, lists: Sequence[ImageList], classes: Sequence[str], source: str) -> list[Labelled]:
    """Check the lists of a dataset's parts against the classes, the files and one another.

    Image folders are listed once each; no image is touched.

    Args:
        folder: what the names are relative to.
        lists: one per part; the first holds training images.
        classes: name of each class, by its label.
        source: what says which classes there are, for the message: `classes.txt`.

    Returns:
        The images of each part, each with its class.

    Raises:
        BadInputError: a label outside the classes, a file that is listed twice, or a class without training images.
        LeftOutError: files are listed but absent.
    """
    present = _present(folder, {name.rpartition("/")[0] for part in lists for name in part.names})
    first_seen: dict[str, tuple[ImageList, int]] = {}
    absent: list[str] = []
    for part in lists:
        for index, (name, label) in enumerate(zip(part.names, part.labels, strict=True)):
            if not 0 <= label < len(classes):
                raise BadInputError(
                    f"{part.place(index)}: gives {name} a class outside 1..{len(classes)}, the classes in {source}; "
                    "put files of the same release there"
                )
            if name in first_seen:
                earlier, place = first_seen[name]
                raise BadInputError(
                    f"{part.place(index)}: lists {name} a second time, after {earlier.short_place(place)}; "
                    "an image may be listed once, in one part"
                )
            first_seen[name] = (part, index)
            if name not in present:
                absent.append(f"{folder / name}: named in {part.short_place(index)} but absent")
    if absent:
        remaining = [folder / name for name in first_seen if name in present]
        raise absent_images(absent, remaining, "put the complete images there, in exactly this folder")
    check_every_class(lists[0].labels, len(classes), lists[0].path, classes)
    return [Labelled(ImageFiles(folder, part.names), part.labels) for part in lists]


def _present(folder: Path, parents: set[str]) -> set[str]:
    """Names of the files in these folders, relative to `folder`."""
    present = set()
    for parent in parents:
        if (folder / parent).is_dir():
            prefix = f"{parent}/" if parent else ""
            present |= {prefix + name for name in _names_in(folder / parent)}
    return present


def _names_in(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError as error:
        raise unlisted(error) from error
