"""Storage strings to file systems, and writes that appear whole."""

import os
import re
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType, LocalFileSystem

from bissl_ray.addresses import has_secrets, without_secrets
from bissl_ray.errors import BadInputError
from bissl_ray.world import world

_ATOMIC_PUT: Final = frozenset({"s3", "gcs", "abfs"})
_LISTINGS: Final = 5
_ASIDE: Final = re.compile(r"\..+\.[0-9a-f]{8}")
_PROBE: Final = bytes(64 * 1024)  # a full disk still takes an empty file


def open_storage(storage: str | Path) -> tuple[FileSystem, str]:
    """Turn a storage string into a file system and a path on it.

    Args:
        storage: a local path, or any URI that pyarrow knows (s3://, gs://, file://, ...).

    Raises:
        BadInputError: the URI's scheme is unknown, the URI is malformed or holds credentials, or the name is not UTF-8.
    """
    text = str(storage)
    if not text:
        raise BadInputError("found an empty storage; expected a folder, or a URI such as s3://bucket/folder")
    if not text.isascii() and text != text.encode(errors="ignore").decode():
        raise BadInputError(f"storage {text}: found a name that is not UTF-8; expected one that is: rename the folder")
    if "://" not in text:
        return LocalFileSystem(), Path(text).expanduser().absolute().as_posix()
    if has_secrets(text):  # a user without a password is a part of the address, such as Azure's container@account
        raise BadInputError(
            f"storage {without_secrets(text)}: found credentials in it, which would be printed and stored; expected "
            "them in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the like) or a role"
        )
    try:
        filesystem, path = world().file_system(text)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadInputError(
            f"storage {text!r} can't be opened: {reason(error)}; give a folder, or a URI such as s3://bucket/folder"
        ) from None
    if not path.strip("/"):
        raise BadInputError(f"storage {text!r}: found no path; expected one, as in s3://bucket/folder")
    return filesystem, path.rstrip("/")


def is_there(storage: str | Path) -> bool:
    """Whether there is such a folder, or anything below such a name (raises BadInputError as `open_storage`)."""
    filesystem, base = open_storage(storage)
    return bool(filesystem.get_file_info(base).type != FileType.NotFound)


def listed(filesystem: FileSystem, folder: str, recursive: bool = False) -> list[FileInfo]:
    """What lies in a folder, or below it; nothing where there is none (raises OSError: it can't be read).

    Arrow looks whether a folder is there and opens it in two steps: where one is made or removed in between, once more.
    """
    selector = FileSelector(folder, recursive=recursive, allow_not_found=True)
    for _ in range(_LISTINGS - 1):
        with suppress(FileNotFoundError):
            return list(filesystem.get_file_info(selector))
    return list(filesystem.get_file_info(selector))


def moves(filesystem: FileSystem) -> bool:
    """Whether files can be given other names, at once and whole. An object store can't, and writes whole by itself."""
    return filesystem.type_name not in _ATOMIC_PUT


def delete_if_there(filesystem: FileSystem, path: str) -> None:
    """Remove a file; nothing happens where there is none (raises OSError: it can't be)."""
    with suppress(FileNotFoundError):
        filesystem.delete_file(path)


def check_writable(storage: str | Path) -> None:
    """Make sure, before anything starts, that rows can be written; leaves nothing behind.

    Raises:
        BadInputError: no permission, a file in the way, a full disk, a read-only or unreachable storage.
    """
    filesystem, base = open_storage(storage)
    created = missing_folders(filesystem, base)
    probe = f"{base}/.probe-{world().token()}"
    try:
        filesystem.create_dir(base, recursive=True)
        atomic_write(filesystem, probe, _PROBE)
        filesystem.delete_file(probe)
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(
            f"storage {str(storage)!r} can't be written: {reason(error)}; "
            f"free it, or give another folder with --storage"
        ) from None
    finally:
        for folder in created:
            with suppress(OSError):  # not empty: someone else has begun to write there
                folder.rmdir()


def atomic_write(filesystem: FileSystem, path: str, data: bytes) -> None:
    """Write a file so that a reader sees all of it or none of it.

    Object stores do that by themselves. Elsewhere the bytes are written aside, under a name that
    begins with a dot, brought to the disk, and renamed.

    Args:
        filesystem: as `open_storage` gives it.
        path: where the file shall appear; its folder exists.
        data: the whole content.

    Raises:
        OSError: the file could not be written; nothing is left behind.
    """
    if not moves(filesystem):
        with filesystem.open_output_stream(path) as stream:
            stream.write(data)
        return
    folder, _, name = path.rpartition("/")
    write_aside(filesystem, f"{folder}/.{name}.{world().token()[:8]}", path, data)


def write_aside(filesystem: FileSystem, aside: str, path: str, data: bytes) -> None:
    """Write a file under one name, bring it to the disk, and move it to another; errors as `atomic_write`."""
    try:
        with filesystem.open_output_stream(aside) as stream:
            stream.write(data)
        if isinstance(filesystem, LocalFileSystem):
            _bring_to_disk(aside)
        filesystem.move(aside, path)
    except BaseException:
        with suppress(OSError):
            filesystem.delete_file(aside)
        raise


def is_aside(name: str) -> bool:
    """Whether a file of that name was written aside, by whoever died before it could be put in its place."""
    return _ASIDE.fullmatch(name) is not None


def remove_asides(filesystem: FileSystem, folder: str, spared: str) -> None:
    """Remove what was written aside below a folder, as far as that is possible; whoever calls this holds the folder.

    Args:
        filesystem: as `open_storage` gives it.
        folder: path on it.
        spared: how names begin that somebody else may be writing at this moment.
    """
    if not moves(filesystem):
        return
    with suppress(OSError):
        for file in listed(filesystem, folder, recursive=True):
            name = file.path.rpartition("/")[2]
            if file.type == FileType.File and is_aside(name) and not name.startswith(f".{spared}"):
                with suppress(OSError):
                    filesystem.delete_file(file.path)


def _bring_to_disk(path: str) -> None:
    """Sync a file, because a rename may survive a power cut that its content does not."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def missing_folders(filesystem: FileSystem, base: str) -> list[Path]:
    """List the local folders that writing under `base` would create, deepest first."""
    if not isinstance(filesystem, LocalFileSystem):
        return []
    return list(takewhile(lambda folder: not folder.exists(), (Path(base), *Path(base).parents)))


def reason(error: BaseException) -> str:
    """Say in a few words why a file system refused: the system's own where there are some."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else " ".join(str(error).split())
