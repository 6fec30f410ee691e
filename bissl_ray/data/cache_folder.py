"""Where a node keeps decoded images, how much room they may take, and who has to go when another data set needs it."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bissl_ray.errors import BadInputError

SUFFIX = ".images"
_VARIABLE = "BISSL_RAY_CACHE"
_DISK_RESERVE = 10 * 2**30


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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only process that adds to the folder or removes from it; wait for others. A killed one holds nothing."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left_behind in folder.glob("*.part"):
            left_behind.unlink(missing_ok=True)
        yield


@dataclass(frozen=True)
class _Other:
    path: Path
    bytes: int
    used_at: float


def room_for(path: Path, limit: int) -> int:
    """Bytes that a file may take if everything goes that nobody uses; call it under the lock.

    Args:
        path: of the file; what has that name now will be replaced.
        limit: most bytes of the whole folder.
    """
    others = _others(path)
    removable = sum(other.bytes for other in others if not _in_use(other.path))
    kept = sum(other.bytes for other in others) - removable
    disk = shutil.disk_usage(path.parent)
    spare = disk.free + removable - min(_DISK_RESERVE, disk.total // 10)
    return max(0, min(limit - kept, spare))


def make_room(path: Path, wanted: int, limit: int) -> None:
    """Remove what was used least recently until a file has its room; call it under the lock.

    Args:
        path: of the file.
        wanted: bytes that it will take, at most `room_for` it.
        limit: most bytes of the whole folder.
    """
    others = _others(path)
    total = sum(other.bytes for other in others)
    for other in others:
        disk = shutil.disk_usage(path.parent)
        if total + wanted <= limit and disk.free - wanted >= min(_DISK_RESERVE, disk.total // 10):
            return
        if not _in_use(other.path):
            other.path.unlink(missing_ok=True)
            total -= other.bytes


def touch(path: Path) -> None:
    """Note that a file was used now; where it can't be noted (a folder for reading only), nothing is removed either."""
    with suppress(OSError):
        os.utime(path)


def _others(path: Path) -> list[_Other]:
    """The folder's files but one, the least recently used first."""
    others = []
    for file in path.parent.glob(f"*{SUFFIX}"):
        with suppress(OSError):
            facts = file.stat()
            if file != path:
                others.append(_Other(file, facts.st_size, facts.st_mtime))
    return sorted(others, key=lambda other: other.used_at)


def _in_use(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
