"""Tables of trials and reports: bring several to one schema, keep the newest rows, give rows.

Without pandas: see `arrays`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bissl_ray.store.arrays import integers, literal
from bissl_ray.store.schema import COLUMNS, KEYS, STAMP, Row, RowKind

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
        if not keys.any() and codes.all():
            keys = codes - 1
            continue
        # Numbered anew each time, or their product would outgrow 64 bits.
        _, keys = np.unique(keys * names + codes, return_inverse=True)
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
