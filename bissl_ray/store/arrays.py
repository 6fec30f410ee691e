"""Values into Arrow and out of it, without pandas.

pyarrow's own ways import pandas wherever it is installed, which takes 0.2 s: too long for a reader that a
person waits for.
"""

from array import array
from collections.abc import Iterable
from datetime import UTC
from typing import Any

import pyarrow as pa


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


def to_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Give a table as rows, as `pyarrow.Table.to_pylist` does; times are aware, in UTC."""
    columns = {name: _values(table[name]) for name in table.column_names}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    if not pa.types.is_timestamp(column.type):
        return list(column.to_pylist())
    naive = column.cast(pa.timestamp("us")).to_pylist()
    return [None if value is None else value.replace(tzinfo=UTC) for value in naive]
