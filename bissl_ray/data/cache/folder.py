"""Where a node keeps decoded images, how much room they may take, and who has to go when another data set needs it."""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bissl_ray.data.cache.lock import in_use
from bissl_ray.errors import BadInputError

SUFFIX = ".images"
PART = ".part"
_VARIABLE = "BISSL_RAY_CACHE"
_DISK_RESERVE_SHARE = 20
"""Ray stops spilling when less than this share of a disk is free."""


def cache_folder() -> Path:
    """The folder of decoded images: under $BISSL_RAY_CACHE, else under the user's cache folder (XDG).

    Raises:
        BadInputError: the variable names no place for a folder.
        OSError: there is no such variable, and the user has no home.
    """
    given = os.environ.get(_VARIABLE)
    if not given:
        try:
            base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        except RuntimeError as error:
            raise OSError(str(error)) from error
        return Path(base) / "bissl-ray" / "decoded"
    folder = Path(given)
    if not folder.is_absolute():
        raise BadInputError(
            f"{_VARIABLE} is {given!r}, expected an absolute path: the processes of a sweep start in other folders"
        )
    file = next((place for place in (folder / "decoded", folder, *folder.parents) if place.is_file()), None)
    if file is not None:
        raise BadInputError(f"{_VARIABLE} is {given!r}, but {file} is a file; expected a folder: give another path")
    return folder / "decoded"


def check_cache_folder() -> None:
    """Refuse a $BISSL_RAY_CACHE that can't be a folder, before anything starts (raises BadInputError)."""
    with suppress(OSError):  # without any cache, images are decoded each time
        cache_folder()


def remove_left_behind(folder: Path) -> None:
    """Remove what killed processes were writing; call it under the folder's lock."""
    for part in folder.glob(f"*{PART}"):
        if not in_use(part):
            part.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Other:
    path: Path
    bytes: int
    used_at: float


def room_for(path: Path, limit: int) -> int:
    """Bytes that a file may take if everything goes that nobody uses; call it under the folder's lock.

    What is being written is in use, and has the size that it will have.

    Args:
        path: of the file; what has that name now will be replaced.
        limit: most bytes of the whole folder.
    """
    others = _others(path)
    removable = sum(other.bytes for other in others if not in_use(other.path))
    kept = sum(other.bytes for other in others) - removable
    return max(0, min(limit - kept, _spare(path.parent, removable)))


def make_room(path: Path, wanted: int, limit: int) -> None:
    """Remove what was used least recently until a file has its room; call it under the folder's lock.

    Args:
        path: of the file.
        wanted: bytes that it will take, at most `room_for` it.
        limit: most bytes of the whole folder.
    """
    others = _others(path)
    total = sum(other.bytes for other in others)
    for other in others:
        if total + wanted <= limit and wanted <= _spare(path.parent):
            return
        if not in_use(other.path):
            other.path.unlink(missing_ok=True)
            total -= other.bytes


def touch(path: Path) -> None:
    """Note that a file was used now; where it can't be noted (a folder for reading only), nothing is removed either."""
    with suppress(OSError):
        os.utime(path)


def _spare(folder: Path, removable: int = 0) -> int:
    """Bytes of the disk that may be taken: half of what is free beyond a twentieth of it; the rest is everybody's.

    A share of what is free, and none of the whole disk's size alone, so that a small cache has its room on a large
    disk that others have nearly filled.
    """
    disk = shutil.disk_usage(folder)
    return (disk.free + removable - disk.total // _DISK_RESERVE_SHARE) // 2


def _others(path: Path) -> list[_Other]:
    """The folder's files but one, the least recently used first."""
    others = []
    for file in (*path.parent.glob(f"*{SUFFIX}"), *path.parent.glob(f"*{PART}")):
        with suppress(OSError):
            facts = file.stat()
            if file != path:
                others.append(_Other(file, facts.st_size, facts.st_mtime))
    return sorted(others, key=lambda other: other.used_at)
