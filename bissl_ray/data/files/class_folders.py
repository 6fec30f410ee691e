"""Images sorted into a folder per class, as torchvision's ImageFolder reads them, and in its order."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bissl_ray.errors import BadInputError

FORMATS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
"""Endings of image files, in lower case."""

_THREADS = 16
"""A folder on a network disk is slow to answer; many are asked at once."""


def unlisted(error: OSError) -> BadInputError:
    """What to say of a folder that can't be listed."""
    return BadInputError(
        f"{error.filename}: can't be looked into ({error.strerror}); make it readable, or take it away"
    )


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted; those that begin with a dot are left out.

    Raises:
        BadInputError: a link among them leads to nothing.
    """
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(entry))


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


def images_in(folder: Path) -> list[str]:
    """Names of all images in a folder and the folders inside it, relative to it, in ImageFolder's order.

    Files that begin with a dot or have another ending are left out.
    """
    return _sorted(_walk(folder)[0])


def files_by_class(folder: Path, classes: Sequence[str]) -> tuple[list[str], list[int]]:
    """List the image files of each class.

    Args:
        folder: holds a folder per class.
        classes: their names; a class's place among them is its number.

    Returns:
        The files' names relative to the folder, with slashes, and the number of each one's class.

    Raises:
        BadInputError: a class has no image; says what lies there instead.
    """
    with ThreadPoolExecutor(_THREADS) as threads:
        found = list(threads.map(_walk, (folder / name for name in classes)))
    names: list[str] = []
    labels: list[int] = []
    for number, (name, (images, others)) in enumerate(zip(classes, found, strict=True)):
        if not images:
            raise BadInputError(
                f"{folder / name}: this class has no image ({', '.join(FORMATS)}); found {_few(others)}: put images "
                "there, or remove the folder"
            )
        names.extend(f"{name}/{image}" for image in _sorted(images))
        labels.extend([number] * len(images))
    return names, labels


def names_content(names: Sequence[str]) -> bytes:
    """Bytes that change when a file is added, renamed or moved to another class, for a fingerprint."""
    return "\n".join(names).encode(errors="surrogateescape")


def sizes_content(folder: Path, names: Sequence[str]) -> bytes:
    """Bytes that change when one of a folder's files is given another size, for a fingerprint."""
    with ThreadPoolExecutor(_THREADS) as threads:
        sizes = threads.map(lambda name: (folder / name).stat().st_size, names)
        return " ".join(map(str, sizes)).encode()


def _walk(folder: Path) -> tuple[list[str], list[str]]:
    """Images, and other files, of a folder and those inside it, unsorted.

    Raises:
        BadInputError: a folder can't be listed, or a link inside leads back to it; names it.
    """
    try:
        return _walked(folder)
    except OSError as error:
        raise unlisted(error) from error


def _walked(folder: Path) -> tuple[list[str], list[str]]:
    images: list[str] = []
    others: list[str] = []
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(folder / inside) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                name = inside + entry.name
                # The ending first: asking an entry what it is can cost a network disk a visit.
                if entry.name.lower().endswith(FORMATS) and entry.is_file():
                    images.append(name)
                elif _is_folder(entry):
                    waiting.append(f"{name}/")
                else:
                    others.append(name)
    return images, others


def _sorted(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: name.rpartition("/")[::2])


def _few(others: list[str]) -> str:
    if not others:
        return "it empty"
    return ", ".join(sorted(others)[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
