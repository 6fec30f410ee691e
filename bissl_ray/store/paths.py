"""Where things lie in a storage: names of files and folders, how names are checked, and paths that hold elsewhere."""

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from pyarrow.fs import FileInfo, FileSystem, FileType

from bissl_ray.addresses import without_secrets
from bissl_ray.errors import BadInputError
from bissl_ray.store.filesystem import listed, open_storage
from bissl_ray.store.schema import RowKind
from bissl_ray.world import world

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")
_READ_AS_DATE_OR_NULL: Final = frozenset({"epoch", "inf", "infinity", "null"})


_DIGITS: Final = 32
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAMED_AT: Final = re.compile(r"/[a-z]+-([0-9]{20})-[^/]*$")
_DIGEST: Final = re.compile(rf"-([0-9a-f]{{{_DIGITS}}})\.parquet$")


class StoredFile(NamedTuple):
    """One Parquet file of a sweep."""

    path: str
    dataset: str
    sweep: str
    size: int  # bytes
    kind: RowKind


def check_name(what: str, name: str) -> str:
    """Return a name that may stand in a path and that every reader takes for text.

    DuckDB and pyarrow guess types from a path: "2026-10-30" would be a date, "42" a number.

    Args:
        what: "sweep", "dataset" or "trial", for the error.
        name: the name to check.

    Raises:
        BadInputError: the name is empty, too long, a number, a date or has other characters.
    """
    if _NAME.fullmatch(name) is None or name.lower() in _READ_AS_DATE_OR_NULL:
        raise BadInputError(
            f"{what} name {name!r} can't be used: start with a letter, then letters, digits, '.', '_' or '-' "
            f"(100 at most, and not a word that reads as a date or null), for example '{what.replace(' ', '-')}-1'"
        )
    return name


def sweep_folder(base: str, dataset: str, sweep: str) -> str:
    """Give the folder of a sweep's Parquet files."""
    return f"{base}/results/dataset={dataset}/sweep={sweep}"


def stage_folder(name: str) -> str:
    """Where a stage run by itself keeps its files, relative to the storage."""
    return f"stages/{name}"


def sweep_documents(name: str) -> str:
    """Where a sweep keeps everything but its rows, relative to the storage."""
    return f"sweeps/{name}"


def trial_folder(sweep: str, trial: str) -> str:
    """Where a trial keeps its files, relative to the storage."""
    return f"sweeps/{sweep}/checkpoints/{trial}"


def trial_names(storage: str | Path, sweep: str) -> list[str]:
    """List the trials of a sweep that have a folder for their files, by name."""
    filesystem, base = open_storage(storage)
    folders = listed(filesystem, f"{base}/{sweep_documents(sweep)}/checkpoints")
    return sorted(PurePosixPath(info.path).name for info in folders if info.type == FileType.Directory)


def sweep_names(storage: str | Path) -> list[str]:
    """List the sweeps that have a document, by name."""
    filesystem, base = open_storage(storage)
    infos = listed(filesystem, f"{base}/sweeps")
    folders = [info.path for info in infos if info.type == FileType.Directory]
    documents = filesystem.get_file_info([f"{folder}/sweep.json" for folder in folders])
    return sorted(PurePosixPath(info.path).parent.name for info in documents if info.type == FileType.File)


def new_file_name(kind: RowKind, content: bytes, at: datetime) -> str:
    """Give a file name that sorts by time, that no other process or machine gives, and that holds a checksum.

    Args:
        kind: of its rows.
        content: of the file.
        at: not before any of its rows.
    """
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    nanoseconds = (at - _EPOCH) // timedelta(microseconds=1) * 1000
    return f"{kind}-{nanoseconds:020d}-{world().process().pid}-{world().token()[:12]}-{digest}.parquet"


def named_at(path: str) -> datetime:
    """When a file was written by its name; long ago where that says nothing."""
    found = _NAMED_AT.search(path)
    return _EPOCH if found is None else _EPOCH + timedelta(microseconds=int(found[1]) // 1000)


def is_as_written(path: str, content: bytes | memoryview) -> bool | None:
    """Whether a file's content is what its name says; None where it says nothing, as of releases before."""
    named = _DIGEST.search(path)
    return None if named is None else hashlib.sha256(content).hexdigest()[:_DIGITS] == named[1]


def list_files(
    filesystem: FileSystem, base: str, kind: RowKind, dataset: str | None, sweep: str | None
) -> list[StoredFile]:
    """List the Parquet files of one kind, oldest first, leaving out what unfinished writes left behind.

    Args:
        filesystem: as `open_storage` gives it.
        base: path of the storage on it.
        kind: trials or reports.
        dataset: only this one; None: all.
        sweep: likewise.

    Raises:
        BadInputError: a file stands where the storage's folder should be.
    """
    root = f"{base}/results" if dataset is None else f"{base}/results/dataset={dataset}"
    if dataset is not None and sweep is not None:
        root = sweep_folder(base, dataset, sweep)
    infos = listed(filesystem, root, recursive=True)
    if not infos and filesystem.get_file_info(base).type == FileType.File:
        raise BadInputError(f"storage {base} is a file, a folder was expected; give another --storage")
    found = [stored for stored in _of_kind(infos, kind) if sweep is None or stored.sweep == sweep]
    return sorted(found, key=lambda stored: (stored.dataset, stored.sweep, PurePosixPath(stored.path).name))


def _of_kind(infos: Iterable[FileInfo], kind: RowKind) -> Iterable[StoredFile]:
    for info in infos:
        path = PurePosixPath(info.path)
        if info.type != FileType.File or not path.match(f"dataset=*/sweep=*/{kind}-*.parquet"):
            continue
        sweep, dataset = (part.partition("=")[2] for part in (path.parts[-2], path.parts[-3]))
        yield StoredFile(info.path, dataset, sweep, info.size, kind)


def absolute_storage(storage: str | Path) -> str:
    """The storage as workers in other folders can use it: a URI as it is, a path made absolute.

    Raises:
        BadInputError: a URI with options.
    """
    text = str(storage)
    if "?" in text and "://" in text:
        raise BadInputError(
            f"--storage {without_secrets(text)}: options after '?' don't reach Ray; set them in the environment "
            "(AWS_REGION, AWS_ENDPOINT_URL and the like), and give the plain URI"
        )
    return str(absolute_file(text))


def absolute_file(path: str | Path | None) -> str | None:
    """A file as processes in other folders find it: a URI as it is, a path made absolute; None for None."""
    return str(path) if path is not None and "://" in str(path) else absolute_path(path)


def absolute_path(path: str | Path | None) -> str | None:
    """A path made absolute; None for None."""
    return None if path is None else str(Path(path).expanduser().absolute())
