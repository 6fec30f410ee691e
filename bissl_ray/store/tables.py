"""Parquet files to tables and back: read one, bring several to one schema, keep the newest rows, give rows.

Without pandas: pyarrow's own ways import it wherever it is installed, which takes 0.2 s, too long for a reader that a
person waits for.
"""

from array import array
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSystem

from bissl_ray.store.paths import StoredFile, is_as_written
from bissl_ray.store.schema import COLUMNS, KEYS, PATH_COLUMNS, STAMP, Row, RowKind
from bissl_ray.store.sound import check_folder, sound

_MOST_UNPACKED: Final = 200
_ALWAYS_UNPACKED: Final = 64 * 2**20  # bytes


def repeated_text(value: str, length: int) -> pa.StringArray:
    """Make an array that holds one text `length` times."""
    data = value.encode()
    ends = array("i", (len(data) * place for place in range(length + 1)))
    return pa.Array.from_buffers(pa.string(), length, [None, pa.py_buffer(ends), pa.py_buffer(data * length)])


def integers(values: Iterable[int]) -> pa.Int64Array:
    """Make an array of integers, none of them missing."""
    data = array("q", values)
    return pa.Array.from_buffers(pa.int64(), len(data), [None, pa.py_buffer(data)])


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


def decode(stored: StoredFile, content: pa.Buffer) -> pa.Table:
    """Make a table of a file's bytes, with the dataset and the sweep that its path names as columns.

    Raises:
        OSError, pyarrow.ArrowException: the file is damaged.
    """
    as_written = is_as_written(stored.path, memoryview(content))
    if as_written is False:
        raise OSError(
            "its content is not what was written, by the checksum in its name (who changed it on purpose removes that)"
        )
    try:
        table = from_parquet(content)
    except UnicodeDecodeError as error:  # the name of a column
        raise OSError(f"it holds what can be no name ({error})") from None
    if as_written is None:
        table.validate(full=True)
    table = sound(table, stored.kind)
    for name, value in (("sweep", stored.sweep), ("dataset", stored.dataset)):
        check_folder(name, value)
        table = table.add_column(0, name, repeated_text(value, table.num_rows))
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


def from_parquet(content: pa.Buffer) -> pa.Table:
    """The table of a Parquet file (raises OSError, pyarrow.ArrowException: it is damaged)."""
    file = pq.ParquetFile(pa.BufferReader(content))
    facts = file.metadata
    unpacked = sum(facts.row_group(place).total_byte_size for place in range(facts.num_row_groups))
    # A row has moments and figures that no other has: no packing makes a byte of it.
    if facts.num_rows > content.size or unpacked > _MOST_UNPACKED * content.size + _ALWAYS_UNPACKED:
        raise OSError(f"it says that it holds {facts.num_rows:,} rows of {unpacked:,} bytes, in {content.size:,}")
    return file.read()


def unify(tables: Sequence[pa.Table], kind: RowKind) -> pa.Table:
    """Concatenate tables of several sweeps, the contract's columns first, missing values null.

    A further column (a parameter) that has two types becomes float64 if both are numbers, else text.
    """
    types = dict(COLUMNS[kind])
    for table in tables:
        for field in table.schema:
            if field.name not in COLUMNS[kind]:
                types[field.name] = _common(types.get(field.name, field.type), field.type)
    schema = pa.schema(list(types.items()))
    return pa.concat_tables([empty_table(schema), *(_cast(table, schema) for table in tables)])


def newest(table: pa.Table, kind: RowKind) -> pa.Table:
    """Keep the newest row of each trial, or of each report, in the order in which they first appear."""
    stamps = table[STAMP[kind]].cast(pa.int64()).to_pylist()
    best: dict[tuple[object, ...], int] = {}
    for index, key in enumerate(zip(*(table[name].to_pylist() for name in KEYS[kind]), strict=True)):
        known = best.get(key)
        if known is None or _age(stamps[index]) >= _age(stamps[known]):
            best[key] = index
    return table.take(integers(best.values()))


def _age(stamp: int | None) -> int:
    return -1 if stamp is None else stamp


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other:
        return one
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
