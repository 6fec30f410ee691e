"""A few rows of a Parquet file, whole: of columns that hold one value throughout, none is unpacked.

A trial has 140 columns, of which a sweep varies a dozen; unpacking all of them takes ten times as long.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from bissl_ray.store.arrays import repeated
from bissl_ray.words import PARAMETER_PREFIX

Choose = Callable[[pa.Table], pa.ChunkedArray]
"""Some columns -> which rows are wanted."""
Few = Callable[[tuple[str, str], pa.Table], pa.ChunkedArray]
"""Dataset and name of a sweep, some columns of its trials -> which rows are wanted."""

_VARIES: Final = object()


def some_rows(file: pq.ParquetFile, columns: Collection[str], choose: Choose) -> pa.Table:
    """Read the rows that are wanted, all their columns.

    Args:
        file: one of ours, whose statistics can be relied upon.
        columns: by which they are chosen, as far as it has them.
        choose: says which.
    """
    schema = file.schema_arrow
    first = file.read([name for name in schema.names if name in columns])
    wanted = choose(first)
    kept = first.filter(wanted)
    found = {name: kept[name] for name in kept.column_names}
    others = [name for name in schema.names if name not in found]
    if not len(kept):
        return schema.empty_table()
    if file.metadata.num_columns == len(schema.names):
        for name in others:
            value = _throughout(file, schema.names.index(name), schema.field(name))
            if value is not _VARIES:
                found[name] = repeated(value, len(kept), schema.field(name).type)
    varying = [name for name in others if name not in found]
    rest = file.read(varying).filter(wanted)
    return pa.table({name: found[name] if name in found else rest[name] for name in schema.names})


def _throughout(file: pq.ParquetFile, place: int, field: pa.Field) -> Any:
    """What a column holds in every row, by the file's statistics; `_VARIES` where they don't say so."""
    groups: Iterable[int] = range(file.metadata.num_row_groups)
    values = {_in_group(file.metadata.row_group(group), place, field) for group in groups}
    return values.pop() if len(values) == 1 else _VARIES


def _in_group(group: Any, place: int, field: pa.Field) -> Any:
    facts = group.column(place).statistics
    if facts is None or not facts.has_null_count:
        return _VARIES
    if facts.null_count == group.num_rows:
        return None
    # What is not a number is in no statistics; a setting always is one.
    settled = not pa.types.is_floating(field.type) or field.name.startswith(PARAMETER_PREFIX)
    if facts.null_count or not settled or not facts.has_min_max or pa.types.is_timestamp(field.type):
        return _VARIES
    low, high = facts.min, facts.max
    return low if low == high else _VARIES
