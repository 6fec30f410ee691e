"""Reads trials and reports of a storage, while others may be writing to it; merges the small files of a sweep."""

import warnings
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow.fs import FileSystem

from bissl_ray.store.fence import Files
from bissl_ray.store.filesystem import open_storage
from bissl_ray.store.paths import StoredFile, list_files, new_file_name, sweep_folder
from bissl_ray.store.schema import STAMP, RowKind
from bissl_ray.store.tables import encode, newest, read_file, to_rows, unify
from bissl_ray.world import world

_THREADS: Final = 8  # hides the latency of an object store
_SMALL: Final = 16 * 2**20  # bytes; a larger file is left alone, so that merging stays cheap
_LISTINGS: Final = 20  # a compaction between listing and reading takes files away; then list again


class DamagedFileWarning(UserWarning):
    """A file could not be read and was skipped; the message names it."""


def read_trials(storage: str | Path, dataset: str | None = None, sweep: str | None = None) -> pa.Table:
    """Read the newest row of every trial.

    Args:
        storage: a local path or a URI that pyarrow knows; need not exist.
        dataset: only this one.
        sweep: only this one.

    Returns:
        One row per trial with the contract's columns (docs/architecture.md, "The store") and every `param_`
        column of any sweep read; no rows if there is nothing.

    Raises:
        BadInputError: the storage can't be opened.

    Warns:
        DamagedFileWarning: once per file that can't be read.
    """
    return _read(storage, "trials", dataset, sweep)


def read_reports(storage: str | Path, dataset: str | None = None, sweep: str | None = None) -> pa.Table:
    """Read all reports: one row per alternation or epoch of a trial. Otherwise as `read_trials`."""
    return _read(storage, "reports", dataset, sweep)


def load_trials(storage: str | Path, dataset: str | None = None) -> pa.Table:
    """Read the newest row of every trial of a storage, of one dataset or of all: see `read_trials`.

    Example:
        >>> import tempfile
        >>> load_trials(tempfile.mkdtemp()).num_rows
        0
    """
    return read_trials(storage, dataset)


def compact(filesystem: FileSystem, files: Files, base: str, kind: RowKind, dataset: str, sweep: str) -> int:
    """Merge a sweep's small files of one kind into one file with the newest row of each trial or report.

    The merged file is written whole before its sources are deleted. A crash in between leaves every
    row twice, which reading puts right. Damaged files stay where they are.

    Args:
        filesystem: of the storage.
        files: writes and removes there.
        base: path of the storage.
        kind: of rows.
        dataset: of the sweep.
        sweep: its name.

    Returns:
        How many small files there are afterwards.

    Raises:
        OSError: the storage refused; no row is lost.
        RunFailedError: another process has taken the sweep.
    """
    small = [f for f in list_files(filesystem, base, kind, dataset, sweep) if f.size < _SMALL]
    try:
        read = _read_files(filesystem, small)
    except FileNotFoundError:  # another process is compacting the same sweep
        return len(small)
    if len(read) < 2:
        return len(small)
    merged = newest(unify([table for _, table in read], kind), kind)
    data = encode(merged)
    stamps = [row[STAMP[kind]] for row in to_rows(merged.select([STAMP[kind]]))]
    at = max([world().now(), *filter(None, stamps)])
    name = new_file_name(kind, data, at)
    files.write(f"{sweep_folder(base, dataset, sweep)}/{name}", data)
    for stored, _ in read:
        files.remove(stored.path)
    return len(small) - len(read) + 1


def _read_files(filesystem: FileSystem, files: list[StoredFile]) -> list[tuple[StoredFile, pa.Table]]:
    """Read several files side by side and leave out damaged ones, with a warning that names them.

    Raises:
        FileNotFoundError: one of them is gone, because it was compacted; list again.
    """
    if not files:
        return []
    most = min(_THREADS, len(files))
    outcomes = world().side_by_side(lambda stored: _read_or_error(filesystem, stored), files, most)
    good = []
    for stored, outcome in zip(files, outcomes, strict=True):
        if isinstance(outcome, pa.Table):
            good.append((stored, outcome))
        else:
            reason = " ".join(str(outcome).split())
            warnings.warn(f"skipped {stored.path}, which can't be read: {reason}", DamagedFileWarning, stacklevel=4)
    return good


def _read_or_error(filesystem: FileSystem, stored: StoredFile) -> pa.Table | Exception:
    try:
        return read_file(filesystem, stored)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        return error


def _read(storage: str | Path, kind: RowKind, dataset: str | None, sweep: str | None) -> pa.Table:
    filesystem, base = open_storage(storage)
    for remaining in reversed(range(_LISTINGS)):
        try:
            read = _read_files(filesystem, list_files(filesystem, base, kind, dataset, sweep))
            break
        except FileNotFoundError:
            if not remaining:
                raise
    return newest(unify([table for _, table in read], kind), kind)
