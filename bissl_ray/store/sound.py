"""What a table must be to be read as results, whoever wrote it: one that is not is named and skipped as damaged."""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from bissl_ray.errors import BadInputError
from bissl_ray.store.paths import check_name
from bissl_ray.store.schema import ALLOWED, COLUMNS, PATH_COLUMNS, REQUIRED, RowKind
from bissl_ray.words import PARAMETER_PREFIX

_FIRST_US: Final = -62_135_596_800_000_000
_LAST_US: Final = 253_402_300_799_999_999
"""Microseconds since 1970 of the first and the last moment that Python's times know."""
_EXACT: Final = 2**53
_TRIAL: Final = r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,199}\z"


class UnsoundError(OSError):
    """A file is whole, and holds what no results do; the message says what."""


def sound(table: pa.Table, kind: RowKind) -> pa.Table:
    """The table, its columns of the contract's types.

    Columns that another release added are kept where a value of theirs can be shown, else left out.

    Args:
        table: as it was read.
        kind: of its rows.

    Raises:
        UnsoundError: a column is there twice, missing, of another type, or holds what it can't.
    """
    names = table.column_names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UnsoundError(f"it has the column {twice!r} twice")
    contract = COLUMNS[kind]
    columns = {}
    for field in table.schema:
        if field.name in PATH_COLUMNS:  # which the path says
            continue
        column = _plain(table[field.name])
        expected = contract.get(field.name)
        if expected is not None:
            columns[field.name] = _of_type(column, field.name, expected)
        elif (family := _family(column.type)) is not None:
            columns[field.name] = _exact(column, field.name) if family == "integer" else column
        elif field.name.startswith(PARAMETER_PREFIX):
            raise UnsoundError(f"its column {field.name!r} holds {field.type}, which no setting is")
    for name in REQUIRED[kind]:
        if name not in columns or columns[name].null_count:
            raise UnsoundError(f"its column {name!r} is missing, or lacks values")
    for name in ("trial", "parent"):
        _check_names(columns.get(name), name)
    for name, words in ALLOWED.items():
        for found in columns[name].unique().to_pylist() if name in columns else ():
            if found is not None and found not in words:
                raise UnsoundError(f"its column {name!r} holds {found[:80]!r}, expected one of {', '.join(words)}")
    return pa.table(columns)


def _exact(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """A column of whole numbers, which may come to stand beside another sweep's real ones."""
    least, most = pc.min_max(column).as_py().values()
    if least is not None and not -_EXACT <= least <= most <= _EXACT:
        raise UnsoundError(f"its column {name!r} holds a whole number beyond {_EXACT}, which no real number is")
    return column


def check_folder(what: str, name: str) -> None:
    """Make sure that a folder has the name of a dataset or a sweep (raises UnsoundError)."""
    try:
        check_name(what, name)
    except BadInputError:
        raise UnsoundError(f"its folder is called {what}={name}, and no {what} is called so") from None


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column without a dictionary."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _family(kind: pa.DataType) -> str | None:
    """What values of a type are like; None: nothing that a row of results may hold."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind):
        return "real"
    if pa.types.is_boolean(kind):
        return "truth"
    return "nothing" if pa.types.is_null(kind) else None


def _of_type(column: pa.ChunkedArray, name: str, expected: pa.DataType) -> pa.ChunkedArray:
    wide = {"integer": ("integer",), "real": ("real", "integer"), "text": ("text",)}
    found = _family(column.type)
    if pa.types.is_timestamp(expected):
        fits = pa.types.is_timestamp(column.type) and column.type.tz is not None
    else:
        fits = found in wide[str(_family(expected))]
    if not fits and found != "nothing":
        raise UnsoundError(f"its column {name!r} holds {column.type}, expected {expected}")
    try:
        cast = column if column.type == expected else column.cast(expected)
    except pa.ArrowInvalid as error:
        raise UnsoundError(f"its column {name!r} holds what is no {expected}: {error}") from None
    if pa.types.is_timestamp(expected):
        least, most = pc.min_max(cast.cast(pa.int64())).as_py().values()
        if least is not None and not _FIRST_US <= least <= most <= _LAST_US:
            raise UnsoundError(f"its column {name!r} holds a time that no calendar has")
    return cast


def _check_names(column: pa.ChunkedArray | None, name: str) -> None:
    if column is None:
        return
    named = pc.match_substring_regex(column, _TRIAL)
    if pc.all(named).as_py() is False:
        found = column.filter(pc.invert(named))[0].as_py()
        raise UnsoundError(f"its column {name!r} holds {found[:80]!r}, which is no trial's name")
