"""Parquet files to tables and back."""

from collections.abc import Collection
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSystem

from bissl_ray.store.arrays import repeated
from bissl_ray.store.paths import StoredFile, is_as_written
from bissl_ray.store.schema import PATH_COLUMNS
from bissl_ray.store.some_rows import Few, some_rows
from bissl_ray.store.sound import check_folder, sound
from bissl_ray.store.tables import unify

_MOST_UNPACKED: Final = 200
_ALWAYS_UNPACKED: Final = 64 * 2**20  # bytes


def read_content(filesystem: FileSystem, stored: StoredFile) -> pa.Buffer:
    """Read the bytes of one file.

    Raises:
        FileNotFoundError: a compaction has taken the file away since it was listed.
        OSError: the storage refuses, which says nothing of the file.
    """
    with filesystem.open_input_file(stored.path) as source:
        return source.read_buffer()


def decode(
    stored: StoredFile, content: pa.Buffer, columns: Collection[str] | None = None, few: Few | None = None
) -> pa.Table:
    """Make a table of a file's bytes, with the dataset and the sweep that its path names as columns.

    Args:
        stored: the file.
        content: of it.
        columns: only these, as far as it has them; those that no row lacks must be among them. None: all.
        few: only the rows that it chooses by those columns, which are to be given, and of these all columns; None: all.

    Raises:
        OSError, pyarrow.ArrowException: the file is damaged.
    """

    def chosen(table: pa.Table) -> pa.ChunkedArray:
        """Which rows are wanted, of a table that may lack what a later release has added."""
        assert few is not None and columns is not None
        there = table.select([name for name in table.column_names if name in columns])
        return few((stored.dataset, stored.sweep), unify([there], stored.kind, columns))

    as_written = is_as_written(stored.path, memoryview(content))
    if as_written is False:
        raise OSError(
            "its content is not what was written, by the checksum in its name (who changed it on purpose removes that)"
        )
    try:
        # One that nobody vouches for is looked at whole, or it would be damaged for some readers only.
        if few is None or not as_written:
            table = from_parquet(content, columns if as_written else None)
        else:
            table = some_rows(checked(content), columns or (), chosen)
    except UnicodeDecodeError as error:  # the name of a column
        raise OSError(f"it holds what can be no name ({error})") from None
    if as_written is None:
        table.validate(full=True)
    table = sound(table, stored.kind)
    if few is not None and not as_written:
        table = table.filter(chosen(table))
    if columns is not None and few is None:
        table = table.select([name for name in table.column_names if name in columns])
    for name, value in (("sweep", stored.sweep), ("dataset", stored.dataset)):
        check_folder(name, value)
        table = table.add_column(0, name, repeated(value, table.num_rows))
    return table.replace_schema_metadata(None)


def names_in(content: pa.Buffer) -> list[str]:
    """Names of trials in a file that was refused, as far as anything can be read of it: to be shown, not to be used."""
    try:
        names = set(pq.ParquetFile(pa.BufferReader(content)).read(columns=["trial"])["trial"].to_pylist())
    except (OSError, pa.ArrowException, UnicodeDecodeError, KeyError, IndexError):
        return []
    return sorted(name for name in names if isinstance(name, str) and name.isascii() and name.isprintable())


def encode(table: pa.Table) -> bytes:
    """Give the bytes of a Parquet file, without the columns that its path already says."""
    return to_parquet(table.drop_columns([c for c in PATH_COLUMNS if c in table.column_names]))


def to_parquet(table: pa.Table) -> bytes:
    """A table as Parquet."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def from_parquet(content: pa.Buffer, columns: Collection[str] | None = None) -> pa.Table:
    """The table of a Parquet file (raises OSError, pyarrow.ArrowException: it is damaged).

    Args:
        content: of the file.
        columns: only these, as far as it has them; None: all.
    """
    file = checked(content)
    if columns is None:
        return file.read()
    return file.read([name for name in file.schema_arrow.names if name in columns])


def checked(content: pa.Buffer) -> pq.ParquetFile:
    """A Parquet file to be read from (raises OSError, pyarrow.ArrowException: it is damaged)."""
    file = pq.ParquetFile(pa.BufferReader(content))
    facts = file.metadata
    unpacked = sum(facts.row_group(place).total_byte_size for place in range(facts.num_row_groups))
    # A row has moments and figures that no other has: no packing makes a byte of it.
    if facts.num_rows > content.size or unpacked > _MOST_UNPACKED * content.size + _ALWAYS_UNPACKED:
        raise OSError(f"it says that it holds {facts.num_rows:,} rows of {unpacked:,} bytes, in {content.size:,}")
    return file
