"""Images sorted into a folder per class, as torchvision's ImageFolder reads them, and in its order."""

import os
import unicodedata
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bissl_ray.data.files.formats import Unread, is_ignored, is_usual, look_at
from bissl_ray.errors import BadInputError

_THREADS = 16
"""A folder on a network disk is slow to answer; many are asked at once."""

ClassFolders = Mapping[str, Sequence[str]]
"""The folders of each class, by its name; a class's place among them is its number."""


def unlisted(error: OSError) -> BadInputError:
    """What to say of a folder or file that can't be looked into."""
    return BadInputError(
        f"{error.filename}: can't be looked into ({error.strerror}); make it readable, or take it away"
    )


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted; those that programs leave for themselves are left out.

    Raises:
        BadInputError: it can't be listed, or a link among them leads to nothing.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not is_ignored(entry.name) and _is_folder(entry))
    except OSError as error:
        raise unlisted(error) from error


def class_folders(folder: Path) -> dict[str, list[str]]:
    """The classes that a folder has folders of.

    Names that look alike are one class, whether an accent is a character of its own in them (NFD, as macOS writes it)
    or not (NFC).

    Raises:
        BadInputError: as `subfolders`.
    """
    classes: dict[str, list[str]] = {}
    for name in subfolders(folder):
        classes.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    return classes


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is a folder (raises BadInputError where it leads to nothing: a disk that isn't there?)."""
    if entry.is_dir():
        return True
    if entry.is_symlink() and not entry.is_file():
        raise BadInputError(
            f"{entry.path}: this link leads to nothing ({Path(entry.path).readlink()}); put there what it "
            "should lead to, or take the link away"
        )
    return False


@dataclass
class Found:
    """What lies in a folder and those inside it, unsorted, by names relative to it.

    Attributes:
        images: that can be read.
        unread: images that can't, and why.
        others: files that are no images.
        folders: inside it, at any depth, each with a final slash.
    """

    images: list[str] = field(default_factory=list)
    unread: list[tuple[str, Unread]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class LabelledFiles:
    """The image files of some classes.

    Attributes:
        names: of the files, relative to the folder of the classes, with slashes.
        labels: the number of each one's class.
        unread: paths of images that can't be read, and why.
    """

    names: list[str]
    labels: list[int]
    unread: list[tuple[Path, Unread]]


def found_in(folder: Path) -> Found:
    """Look through a folder and those inside it.

    Raises:
        BadInputError: a folder can't be listed, or a link inside leads back to it; names it.
    """
    try:
        return _walked(folder)
    except OSError as error:
        raise unlisted(error) from error


def images_in(folder: Path) -> tuple[list[str], list[tuple[Path, Unread]]]:
    """Names of all images in a folder and the folders inside it, relative to it, in ImageFolder's order.

    Returns:
        The names; and the paths of images that can't be read, and why.
    """
    found = found_in(folder)
    return _sorted(found.images), _unread(folder, found)


def files_by_class(folder: Path, classes: ClassFolders) -> LabelledFiles:
    """List the image files of each class.

    Args:
        folder: holds the classes' folders.
        classes: these.

    Raises:
        BadInputError: a class has no image; says what lies there instead. Or it holds folders that are classes
            themselves.
    """
    places = [(number, inner) for number, inside in enumerate(classes.values()) for inner in inside]
    with ThreadPoolExecutor(_THREADS) as threads:
        found = list(threads.map(lambda place: found_in(folder / place[1]), places))
    listed = LabelledFiles([], [], [])
    for (number, inner), each in zip(places, found, strict=True):
        _refuse_classes_inside(folder, inner, each, classes)
        if not each.images and not each.unread:
            raise BadInputError(
                f"{folder / inner}: this class has no image; found {_few(each.others)}: put images there, or move it "
                "elsewhere if it is no class"
            )
        listed.names.extend(f"{inner}/{image}" for image in _sorted(each.images))
        listed.labels.extend([number] * len(each.images))
        listed.unread.extend(_unread(folder / inner, each))
    return listed


def names_content(names: Sequence[str]) -> bytes:
    """Bytes that change when a file is added, renamed or moved to another class, for a fingerprint."""
    return "\n".join(names).encode(errors="surrogateescape")


def sizes_of(folder: Path, names: Sequence[str]) -> list[int]:
    """Bytes of each of a folder's files (raises BadInputError: one can't be asked for)."""
    try:
        with ThreadPoolExecutor(_THREADS) as threads:
            return list(threads.map(lambda name: (folder / name).stat().st_size, names))
    except OSError as error:
        raise unlisted(error) from error


def _walked(folder: Path) -> Found:
    found = Found()
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(folder / inside) as entries:
            for entry in entries:
                if is_ignored(entry.name):
                    continue
                name = inside + entry.name
                # The ending first: asking an entry what it is can cost a network disk a visit.
                if is_usual(entry.name) and entry.is_file():
                    found.images.append(name)
                elif _is_folder(entry):
                    found.folders.append(f"{name}/")
                    waiting.append(f"{name}/")
                elif entry.is_file():
                    _add_looked_at(found, name, entry.path)
    return found


def _add_looked_at(found: Found, name: str, path: str) -> None:
    looked = look_at(path)
    if looked.unread is not None:
        found.unread.append((name, looked.unread))
    else:
        (found.images if looked.image else found.others).append(name)


def _refuse_classes_inside(folder: Path, inner: str, found: Found, classes: ClassFolders) -> None:
    """Whose images a folder within a folder holds can be read in two ways where another class is called so."""
    siblings = {name for inside in classes.values() for name in inside} - {inner}
    within = next((place for place in sorted(found.folders) if place.split("/")[-2] in siblings), None)
    if within is not None:
        raise BadInputError(
            f"{folder / inner / within}: a folder called as the class {within.split('/')[-2]}/ lies inside the class "
            f"{inner}/; if it is a copy of the data set, move it away; if these are {inner}, give it another name"
        )


def _unread(folder: Path, found: Found) -> list[tuple[Path, Unread]]:
    return [(folder / name, why) for name, why in sorted(found.unread)]


def _sorted(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: name.rpartition("/")[::2])


def _few(others: list[str]) -> str:
    if not others:
        return "it empty"
    return ", ".join(sorted(others)[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
