"""Arrays and scalars of Arrow without pandas: pyarrow's own ways of making them import it wherever it is installed.

That takes 0.2 s, too long for a reader that a person waits for.
"""

from array import array
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np  # which pyarrow imports anyway
import pyarrow as pa

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = pa.timestamp("us", tz="UTC")
_NUMBERS: Final = {pa.int64(): "q", pa.float64(): "d", _TIME: "q"}


def repeated(value: Any, length: int, type_: pa.DataType | None = None) -> pa.Array:
    """Make an array that holds one value `length` times; its type as of `array_of`."""
    return pa.repeat(array_of([value], type_)[0], length)


def integers(values: "Iterable[int] | np.ndarray[Any, Any]") -> pa.Int64Array:
    """Make an array of integers, none of them missing."""
    data = np.ascontiguousarray(values, np.int64) if isinstance(values, np.ndarray) else array("q", values)
    return pa.Array.from_buffers(pa.int64(), len(data), [None, pa.py_buffer(data)])


def array_of(values: Sequence[Any], type_: pa.DataType | None = None) -> pa.Array:
    """Make an array of what a row can hold: texts, numbers, true and false, aware times; None is missing.

    Args:
        values: whole and real numbers may be mixed, and become real; texts beside others make all of them text.
        type_: of the array; None: by the values, null where all are missing.
    """
    present = [value for value in values if value is not None]
    kind = _type_of(present) if type_ is None else type_
    if not present or pa.types.is_null(kind):
        return pa.nulls(len(values), kind)
    valid = None if len(present) == len(values) else _bits([value is not None for value in values])
    if pa.types.is_string(kind):
        written = [b"" if value is None else _text(value).encode() for value in values]
        ends = np.concatenate([[0], np.cumsum([len(each) for each in written])]).astype(np.int32)
        buffers = [valid, pa.py_buffer(ends), pa.py_buffer(b"".join(written))]
    elif pa.types.is_boolean(kind):
        buffers = [valid, _bits([bool(value) for value in values])]
    else:
        numbers = (_number(value, kind) for value in values)
        buffers = [valid, pa.py_buffer(array(_NUMBERS[kind], numbers))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def literal(value: Any) -> pa.Scalar:
    """Make a scalar, to be compared with a column."""
    return array_of([value])[0]


def missing(type_: pa.DataType) -> pa.Scalar:
    """Make the missing value of a type."""
    return pa.nulls(1, type_)[0]


def _type_of(present: Sequence[Any]) -> pa.DataType:
    kinds = {
        pa.string()
        if isinstance(value, str)
        else _TIME
        if isinstance(value, datetime)
        else pa.bool_()
        if isinstance(value, bool)
        else pa.int64()
        if isinstance(value, int)
        else pa.float64()
        for value in present
    }
    if len(kinds) > 1:
        return pa.float64() if kinds == {pa.int64(), pa.float64()} else pa.string()
    return kinds.pop() if kinds else pa.null()


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: Any, kind: pa.DataType) -> float:
    if value is None:
        return 0
    if isinstance(value, datetime):
        return (value - _EPOCH) // timedelta(microseconds=1)
    return float(value) if kind == pa.float64() else int(value)


def _bits(values: Sequence[bool]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values, bitorder="little"))
