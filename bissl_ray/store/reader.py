"""Reads trials and reports of a storage, while others may be writing to it; merges the small files of a sweep."""

import warnings
from collections.abc import Callable, Collection, Iterable
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import pyarrow as pa
from pyarrow.fs import FileSystem, LocalFileSystem

from bissl_ray.store.fence import Files
from bissl_ray.store.filesystem import open_storage, reason
from bissl_ray.store.parquet import decode, encode, read_content
from bissl_ray.store.paths import StoredFile, list_files, new_file_name, sweep_folder
from bissl_ray.store.schema import PATH_COLUMNS, REQUIRED, STAMP, RowKind
from bissl_ray.store.some_rows import Few
from bissl_ray.store.tables import newest, to_rows, unify
from bissl_ray.world import world

T = TypeVar("T")

_THREADS: Final = 8
"""Hide the latency of an object store."""
_LOCAL_THREADS: Final = 2
"""More of them wait for Python's lock, and take longer in all."""
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


def places_of(storage: str | Path) -> list[tuple[str, str]]:
    """Dataset and name of every sweep of which there is a file with trials, damaged ones too, in that order."""
    filesystem, base = open_storage(storage)
    return sorted({(each.dataset, each.sweep) for each in list_files(filesystem, base, "trials", None, None)})


def read_sweeps(
    storage: str | Path,
    columns: Collection[str],
    reduce: Callable[[pa.Table], T],
    dataset: str | None = None,
    sweep: str | None = None,
    only: Collection[tuple[str, str]] | None = None,
    few: Few | None = None,
) -> list[T]:
    """Read some columns of the newest row of every trial, one sweep after another, and keep what is made of them.

    So a storage of any size takes the memory of a few sweeps, and of what is kept. Others as of `read_trials`.

    Args:
        storage: a local path or a URI that pyarrow knows; need not exist.
        columns: of trials; a sweep may lack those that are not the contract's, and has its dataset and name with them.
        reduce: given the rows of a sweep, in a thread of its own; never a table without rows.
        dataset: only this one.
        sweep: only this one.
        only: dataset and name of those to read; None: all.
        few: chooses rows by these columns, of which all columns are read; None: only these, of all rows.

    Returns:
        What `reduce` gave for each sweep, by dataset and name.
    """
    filesystem, base = open_storage(storage)
    wanted = {*columns, *PATH_COLUMNS, *REQUIRED["trials"], STAMP["trials"]}
    files = list_files(filesystem, base, "trials", dataset, sweep)
    groups = [
        (place, list(own))
        for place, own in groupby(files, key=lambda each: (each.dataset, each.sweep))
        if only is None or place in only
    ]

    def of_sweep(group: tuple[tuple[str, str], list[StoredFile]]) -> tuple[T | None, list[Damaged]]:
        place, own = group
        found = _newest_of(filesystem, base, "trials", *place, columns=wanted, listed=own, few=few, one_by_one=local)
        table, damaged = found
        return (reduce(table) if table.num_rows else None), damaged

    local = isinstance(filesystem, LocalFileSystem)
    most = min(_LOCAL_THREADS if local else _THREADS, len(groups))
    found = world().side_by_side(of_sweep, groups, most) if groups else []
    _warn([each for _, damaged in found for each in damaged])
    return [made for made, _ in found if made is not None]


def read_with_damage(
    storage: str | Path, kind: RowKind, dataset: str | None = None, sweep: str | None = None, surely: bool = False
) -> tuple[pa.Table, list[Damaged]]:
    """Read rows as `read_trials` and `read_reports` do, and give the files that were skipped in place of warnings."""
    filesystem, base = open_storage(storage)
    return _newest_of(filesystem, base, kind, dataset, sweep, surely)


def _newest_of(
    filesystem: FileSystem,
    base: str,
    kind: RowKind,
    dataset: str | None,
    sweep: str | None,
    surely: bool = False,
    columns: Collection[str] | None = None,
    listed: list[StoredFile] | None = None,
    few: Few | None = None,
    one_by_one: bool = False,
) -> tuple[pa.Table, list[Damaged]]:
    """The newest rows of files, which are listed again where a compaction takes some away meanwhile."""
    for remaining in reversed(range(_LISTINGS)):
        files = list_files(filesystem, base, kind, dataset, sweep) if listed is None else listed
        listed = None
        try:
            read, damaged = read_files(filesystem, files, surely, columns, few, one_by_one)
            break
        except FileNotFoundError:
            if not remaining:
                raise
    return newest(unify([table for _, table in read], kind, None if few else columns), kind), damaged


def read_files(
    filesystem: FileSystem,
    files: list[StoredFile],
    surely: bool = False,
    columns: Collection[str] | None = None,
    few: Few | None = None,
    one_by_one: bool = False,
) -> tuple[list[tuple[StoredFile, pa.Table]], list[Damaged]]:
    """Read several files side by side; those that can't be read apart, in the order given.

    Raises:
        FileNotFoundError: one of them is gone, because it was compacted; list again.
        OSError: `surely` was asked for, and the storage refuses one.
    """
    if not files:
        return [], []
    read = partial(_read_or_error, filesystem, columns=columns, few=few)
    outcomes = [*map(read, files)] if one_by_one else world().side_by_side(read, files, min(_THREADS, len(files)))
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


def _read_or_error(
    filesystem: FileSystem, stored: StoredFile, columns: Collection[str] | None, few: Few | None
) -> pa.Table | Exception:
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
        return decode(stored, content, columns, few)
    except (OSError, pa.ArrowException) as error:
        return error


def _read(storage: str | Path, kind: RowKind, dataset: str | None, sweep: str | None, surely: bool) -> pa.Table:
    table, damaged = read_with_damage(storage, kind, dataset, sweep, surely)
    _warn(damaged)
    return table


def _warn(damaged: Iterable[Damaged]) -> None:
    for each in damaged:
        warnings.warn(each.line, DamagedFileWarning, stacklevel=4)
