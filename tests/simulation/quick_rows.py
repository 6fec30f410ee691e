"""The store's tables as Arrow streams in place of Parquet, which takes nine tenths of a schedule's time otherwise."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pyarrow as pa

from bissl_ray.store import parquet


@contextmanager
def quick_rows() -> Iterator[None]:
    """Write and read so for the duration of a `with` block."""
    with patch.object(parquet, "to_parquet", _to_stream), patch.object(parquet, "from_parquet", _from_stream):
        yield


def _to_stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _from_stream(content: pa.Buffer, columns: Collection[str] | None = None) -> pa.Table:
    with pa.ipc.open_stream(content) as stream:
        table = stream.read_all()
    return table if columns is None else table.select([name for name in table.column_names if name in columns])
