"""Reads trials and reports of a storage, while others may be writing to it; merges the small files of a sweep."""

import warnings
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
from pyarrow.fs import FileSystem

from bissl_ray.store.fence import Files
from bissl_ray.store.filesystem import open_storage, reason
from bissl_ray.store.paths import StoredFile, list_files, new_file_name, sweep_folder
from bissl_ray.store.schema import STAMP, RowKind
from bissl_ray.store.tables import decode, encode, newest, read_content, to_rows, unify
from bissl_ray.world import world

_THREADS: Final = 8  # hides the latency of an object store
_SMALL: Final = 16 * 2**20  # bytes; a larger file is left alone, so that merging stays cheap
_TRIES: Final = 3
_PAUSE_S: Final = 0.3  # between tries at a file that the storage refuses
_LISTINGS: Final = 20  # a compaction between listing and reading takes files away; then list again


class DamagedFileWarning(UserWarning):
    """A file could not be read and was skipped; the message names it."""


class Damaged(NamedTuple):
    """A file that can't be read, and why, in words."""

    stored: StoredFile
    reason: str

    @property
    def line(self) -> str:
        """The same for a line of its own."""
        return f"skipped {self.stored.path}, which can't be read: {self.reason}"


def read_trials(
    storage: str | Path, dataset: str | None = None, sweep: str | None = None, *, surely: bool = False
) -> pa.Table:
    """Read the newest row of every trial.

    Args:
        storage: a local path or a URI that pyarrow knows; need not exist.
        dataset: only this one.
        sweep: only this one.
        surely: all or nothing: what is decided by the rows would be decided wrongly without some.

    Returns:
        One row per trial with the contract's columns (docs/architecture.md, "The store") and every `param_`
        column of any sweep read; no rows if there is nothing.

    Raises:
        BadInputError: the storage can't be opened.
        OSError: it refuses to list, or a file where it was to be read surely.

    Warns:
        DamagedFileWarning: once per file that is damaged, or that the storage refuses.
    """
    return _read(storage, "trials", dataset, sweep, surely)


def read_reports(
    storage: str | Path, dataset: str | None = None, sweep: str | None = None, *, surely: bool = False
) -> pa.Table:
    """Read all reports: one row per alternation or epoch of a trial. Otherwise as `read_trials`."""
    return _read(storage, "reports", dataset, sweep, surely)


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
        read, _ = read_files(filesystem, small)
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


def read_with_damage(
    storage: str | Path, kind: RowKind, dataset: str | None = None, sweep: str | None = None, surely: bool = False
) -> tuple[pa.Table, list[Damaged]]:
    """Read rows as `read_trials` and `read_reports` do, and give the files that were skipped in place of warnings."""
    filesystem, base = open_storage(storage)
    for remaining in reversed(range(_LISTINGS)):
        try:
            read, damaged = read_files(filesystem, list_files(filesystem, base, kind, dataset, sweep), surely)
            break
        except FileNotFoundError:
            if not remaining:
                raise
    return newest(unify([table for _, table in read], kind), kind), damaged


def read_files(
    filesystem: FileSystem, files: list[StoredFile], surely: bool = False
) -> tuple[list[tuple[StoredFile, pa.Table]], list[Damaged]]:
    """Read several files side by side; those that can't be read apart, in the order given.

    Raises:
        FileNotFoundError: one of them is gone, because it was compacted; list again.
        OSError: `surely` was asked for, and the storage refuses one.
    """
    if not files:
        return [], []
    most = min(_THREADS, len(files))
    outcomes = world().side_by_side(lambda stored: _read_or_error(filesystem, stored), files, most)
    good, damaged = [], []
    for stored, outcome in zip(files, outcomes, strict=True):
        if isinstance(outcome, pa.Table):
            good.append((stored, outcome))
            continue
        if surely and isinstance(outcome, _RefusedError):
            raise OSError(outcome.number, f"{stored.path} can't be read at the moment: {outcome}")
        damaged.append(Damaged(stored, " ".join(str(outcome).split())))
    return good, damaged


class _RefusedError(Exception):
    """A storage that would not give a file."""

    def __init__(self, error: OSError) -> None:
        super().__init__(reason(error))
        self.number = error.errno


def _read_or_error(filesystem: FileSystem, stored: StoredFile) -> pa.Table | Exception:
    for left in reversed(range(_TRIES)):
        try:
            content = read_content(filesystem, stored)
            break
        except FileNotFoundError:
            raise
        except OSError as error:
            if not left:
                return _RefusedError(error)
        world().sleep(_PAUSE_S)
    try:
        return decode(stored, content)
    except (OSError, pa.ArrowException) as error:
        return error


def _read(storage: str | Path, kind: RowKind, dataset: str | None, sweep: str | None, surely: bool) -> pa.Table:
    table, damaged = read_with_damage(storage, kind, dataset, sweep, surely)
    for each in damaged:
        warnings.warn(each.line, DamagedFileWarning, stacklevel=3)
    return table
