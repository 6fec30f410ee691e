"""Merges the many small files of a running sweep into one."""

from contextlib import suppress
from typing import Final

from pyarrow.fs import FileSystem

from bissl_ray.store.filesystem import atomic_write
from bissl_ray.store.paths import list_files, new_file_name, sweep_folder
from bissl_ray.store.reader import read_files
from bissl_ray.store.schema import RowKind
from bissl_ray.store.tables import encode, newest, unify

_SMALL: Final = 16 * 2**20  # bytes; a larger file is left alone, so that merging stays cheap


def compact(filesystem: FileSystem, base: str, kind: RowKind, dataset: str, sweep: str) -> int:
    """Merge a sweep's small files of one kind into one file with the newest row of each trial or report.

    The merged file is written whole before its sources are deleted. A crash in between leaves every
    row twice, which reading puts right. Damaged files stay where they are.

    Returns:
        How many small files there are afterwards.

    Raises:
        OSError: the storage refused; no row is lost.
    """
    small = [f for f in list_files(filesystem, base, kind, dataset, sweep) if f.size < _SMALL]
    try:
        read = read_files(filesystem, small)
    except FileNotFoundError:  # another process is compacting the same sweep
        return len(small)
    if len(read) < 2:
        return len(small)
    merged = newest(unify([table for _, table in read], kind), kind)
    atomic_write(filesystem, f"{sweep_folder(base, dataset, sweep)}/{new_file_name(kind)}", encode(merged))
    for stored, _ in read:
        with suppress(FileNotFoundError):  # another process merged it too, and was faster
            filesystem.delete_file(stored.path)
    return len(small) - len(read) + 1
