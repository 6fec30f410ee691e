"""Parquet files to tables and back: read one, bring several to one schema, keep the newest rows, give rows.

Without pandas: see `arrays`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.fs import FileSystem

from bissl_ray.store.arrays import integers, literal, repeated
from bissl_ray.store.paths import StoredFile, is_as_written
from bissl_ray.store.schema import COLUMNS, KEYS, PATH_COLUMNS, STAMP, Row, RowKind
from bissl_ray.store.some_rows import Few, some_rows
from bissl_ray.store.sound import check_folder, sound

_MOST_UNPACKED: Final = 200
_ALWAYS_UNPACKED: Final = 64 * 2**20  # bytes
_LONG_AGO: Final = -(2**62)


def empty_table(schema: pa.Schema) -> pa.Table:
    """Make a table without rows."""
    return pa.Table.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def to_rows(table: pa.Table) -> list[Row]:
    """Give a table as rows, as `pyarrow.Table.to_pylist` does; times are aware, in UTC."""
    columns = {name: _values(table[name]) for name in table.column_names}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    if not pa.types.is_timestamp(column.type):
        return list(column.to_pylist())
    naive = column.cast(pa.timestamp("us")).to_pylist()
    return [None if value is None else value.replace(tzinfo=UTC) for value in naive]


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


def unify(tables: Sequence[pa.Table], kind: RowKind, columns: Collection[str] | None = None) -> pa.Table:
    """Concatenate tables of several sweeps, the contract's columns first, missing values null.

    Args:
        tables: of sweeps.
        kind: of their rows.
        columns: of the contract's only these; None: all.
    """
    contract = COLUMNS[kind]
    return united(tables, {name: type_ for name, type_ in contract.items() if columns is None or name in columns})


def united(tables: Sequence[pa.Table], first: Mapping[str, pa.DataType]) -> pa.Table:
    """Concatenate tables, missing values null.

    A column that has two types becomes float64 if both are numbers, else text.

    Args:
        tables: with any columns.
        first: types of the columns that stand first, whoever has them.
    """
    types = dict(first)
    for table in tables:
        for field in table.schema:
            if field.name not in first:
                types[field.name] = _common(types.get(field.name, field.type), field.type)
    schema = pa.schema(list(types.items()))
    return pa.concat_tables([empty_table(schema), *(_cast(table, schema) for table in tables)])


def newest(table: pa.Table, kind: RowKind) -> pa.Table:
    """Keep the newest row of each trial, or of each report, in the order in which they first appear."""
    rows = np.arange(table.num_rows)
    keys = np.zeros(table.num_rows, np.int64)
    for name in KEYS[kind]:
        codes, names = _codes(table[name])
        if (codes == codes[:1]).all():
            continue  # the same in all rows
        _, keys = np.unique(
            keys * names + codes, return_inverse=True
        )  # numbered anew, or their product outgrows 64 bits
    found = len(rows) and int(keys.max()) + 1
    if found == len(rows):
        return table
    stamps = _numbers(table[STAMP[kind]].cast(pa.int64()), _LONG_AGO)
    by_age = np.argsort(stamps, kind="stable")  # of rows that are as old, the later stands behind
    last, first = np.empty(found, np.int64), np.empty(found, np.int64)
    last[keys[by_age]] = by_age  # of several that are assigned to one place, the last stays
    first[keys[::-1]] = rows[::-1]
    return table.take(integers(last[np.argsort(first)]))


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray[Any, Any], int]:
    """A number for each value of a column, missing ones too, equal for equal values; and how many there may be."""
    encoded = pc.dictionary_encode(column.combine_chunks())
    return _numbers(encoded.indices.cast(pa.int64()), -1) + 1, len(encoded.dictionary) + 1


def _numbers(column: pa.Array | pa.ChunkedArray, instead: int) -> np.ndarray[Any, Any]:
    """Whole numbers, with another in place of what is missing."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.from_dlpack(pc.fill_null(whole, literal(instead)))


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    both_numbers = all(pa.types.is_integer(t) or pa.types.is_floating(t) for t in (one, other))
    return pa.float64() if both_numbers else pa.string()


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    had = {field.name: field.type for field in table.schema}  # asked for each name, a table lists all of them anew

    def column(field: pa.Field) -> pa.ChunkedArray | pa.Array:
        if field.name not in had:
            return pa.nulls(table.num_rows, field.type)
        found = table[field.name]
        return found if had[field.name] == field.type else found.cast(field.type)

    return pa.Table.from_arrays([column(field) for field in schema], schema=schema)
