"""The little language of --where and --sort over the board's columns.

Comparisons of a column with a number, a quoted text, true, false or a time; joined by and, or, not and
parentheses; `in (...)` and `is null`. SQL's `=` and `<>` mean what Python's `==` and `!=` do. As in SQL, a
missing value satisfies no comparison. What is read becomes an expression of Arrow's: nothing of it is run.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from bissl_ray.errors import BadInputError, nearest
from bissl_ray.store.arrays import array_of, integers, literal, missing
from bissl_ray.store.schema import Row

_TOKEN: Final = re.compile(
    r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(<>)|(?<![<>=!])(=)(?!=)|\b(and|or|not|in|is|null|true|false)\b""",
    re.I,
)
_WORDS: Final = {"null": "None", "true": "True", "false": "False"}
_COMPARE: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], pc.Expression]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_SHOWN: Final = 30
"""Letters of what can't be read."""
_EXAMPLE: Final = "for example \"param_upper_lr > 0.01 and status = 'complete'\""
_NULL: Final = pc.scalar(missing(pa.bool_()))


class Where:
    """An expression of --where."""

    def __init__(self, expression: str) -> None:
        """Read it.

        Args:
            expression: for example "param_upper_lr > 0.01 and status = 'complete'".

        Raises:
            BadInputError: it can't be read.
        """
        self._expression = expression
        written = _TOKEN.sub(_to_python, expression)
        try:
            self._tree = ast.parse(written.strip(), mode="eval")
        except SyntaxError as error:
            begins = len(written) - len(written.lstrip())
            raise self._unreadable(_original(expression, begins + max((error.offset or 1) - 1, 0))) from None
        except (ValueError, RecursionError, MemoryError):
            raise self._unreadable() from None

    @property
    def columns(self) -> set[str]:
        """The names in it."""
        return {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)}

    def over(self, schema: pa.Schema) -> pc.Expression:
        """The filter, for a table of these columns.

        Raises:
            BadInputError: it names an unknown column, or compares a column with a value of another type.
        """
        try:
            return _Reader(self._expression, schema).predicate(self._tree.body)
        except RecursionError:
            raise self._unreadable() from None

    def _unreadable(self, place: int | None = None) -> BadInputError:
        rest = "" if place is None else self._expression[place:].strip()[:_SHOWN]
        where = f" from {rest!r} on" if place and rest else ""
        return BadInputError(
            f"--where {self._expression!r} can't be read{where}; write comparisons of columns with values, joined by "
            f"and, or, not and parentheses, {_EXAMPLE}"
        )


def where_rows(rows: Sequence[Row], expression: str) -> list[Row]:
    """Keep the rows that satisfy an expression.

    Args:
        rows: rows of the board; all have the same keys.
        expression: for example "param_upper_lr > 0.01 and status = 'complete'".

    Raises:
        BadInputError: as of `Where`.
    """
    where = Where(expression)
    if not rows:
        return []
    table = table_of(rows, rows[0])
    return [rows[place] for place in _places(table, where.over(table.schema))]


def sort_rows(rows: Sequence[Row], key: str) -> list[Row]:
    """Sort rows by a column, downwards if its name has a minus in front; missing values come last.

    Raises:
        BadInputError: there is no such column.
    """
    if not rows:
        return []
    check_column("--sort", key.removeprefix("-"), rows[0])
    return [rows[place] for place in sorted_places(table_of(rows, [key.removeprefix("-")]), key)]


def table_of(rows: Sequence[Row], names: Iterable[str]) -> pa.Table:
    """Columns of rows as a table; what is not a number is missing."""
    return without_nan(pa.table({name: array_of([row[name] for row in rows]) for name in names}))


def without_nan(table: pa.Table) -> pa.Table:
    """A table in which what is not a number is missing."""
    for place, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            column = table.column(place)
            number = pc.if_else(pc.is_nan(column), missing(field.type), column)
            table = table.set_column(place, field.name, number)
    return table


def sorted_places(table: pa.Table, key: str) -> list[int]:
    """Where the rows of a table stand when they are sorted by a column; as of `sort_rows`."""
    order = integers(range(table.num_rows))
    keys = pa.table({"key": table[key.removeprefix("-")], "order": order})
    direction = "descending" if key.startswith("-") else "ascending"
    if pa.types.is_null(keys.schema.field("key").type):
        return list(range(table.num_rows))
    return list(pc.sort_indices(keys, sort_keys=[("key", direction), ("order", "ascending")]).to_pylist())


def check_column(option: str, column: str, names: Iterable[str]) -> None:
    """Refuse a column that the board doesn't have.

    Raises:
        BadInputError: naming the nearest column.
    """
    known = list(names)
    if column not in known:
        texts = ", and texts stand in quotes: 'pruned'" if option == "--where" else ""
        hint = nearest(column, known) or f"; `bissl-ray leaderboard --format csv | head -1` lists them{texts}"
        raise BadInputError(f"{option} names no column of the board: {column!r}{hint}")


def _places(table: pa.Table, expression: pc.Expression) -> list[int]:
    order = integers(range(table.num_rows))
    kept = pa.table({**{name: table[name] for name in table.column_names}, "": order}).filter(expression)
    return list(kept[""].to_pylist())


def _original(expression: str, place: int) -> int:
    """The place in an expression of one in what `_to_python` has made of it."""
    shift = 0
    for match in _TOKEN.finditer(expression):
        if match.start() + shift >= place:
            break
        shift += len(_to_python(match)) - len(match[0])
    return place - shift


def _to_python(match: re.Match[str]) -> str:
    text, unequal, equal, word = match.groups()
    if text is not None:
        return str(text)
    if unequal or equal:
        return "!=" if unequal else "=="
    return _WORDS.get(word.lower(), word.lower())


class _Reader:
    """Turns the syntax tree of one expression into one of Arrow's; runs nothing of what it reads."""

    def __init__(self, expression: str, schema: pa.Schema) -> None:
        self._expression = expression
        self._schema = schema

    def predicate(self, node: ast.expr) -> pc.Expression:
        """Read a node that is true or false."""
        match node:
            case ast.BoolOp(op=joint, values=values):
                both = operator.and_ if isinstance(joint, ast.And) else operator.or_
                return reduce(both, (self.predicate(value) for value in values))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ~self.predicate(operand)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                sides = [left, *comparators]
                parts = [self._comparison(*part) for part in zip(sides, ops, comparators, strict=False)]
                return reduce(operator.and_, parts)
            case ast.Name(id=column) if self._kind(column) is bool:
                return pc.field(column)
        raise self._unreadable(node)

    def _comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> pc.Expression:
        if isinstance(op, ast.Is | ast.IsNot) and isinstance(right, ast.Constant) and right.value is None:
            unknown = self._value(left, None).is_null()
            return unknown if isinstance(op, ast.Is) else ~unknown
        if isinstance(op, ast.In | ast.NotIn) and isinstance(right, ast.Tuple | ast.List | ast.Constant):
            choices = right.elts if isinstance(right, ast.Tuple | ast.List) else [right]
            equal = [self._comparison(left, ast.Eq(), choice) for choice in choices]
            among = reduce(operator.or_, equal, pc.scalar(literal(False)))
            return among if isinstance(op, ast.In) else ~among
        compare = _COMPARE.get(type(op))
        if compare is None:
            raise self._unreadable(right)
        columns = [self._kind(side.id) for side in (left, right) if isinstance(side, ast.Name)]
        kinds = {kind for kind in columns if kind is not None}
        if len(kinds) > 1:
            raise self._mismatch(left, right)
        one, other = (self._value(side, next(iter(kinds), None)) for side in (left, right))
        return _NULL if None in columns else compare(one, other)

    def _value(self, node: ast.expr, kind: type | None) -> pc.Expression:
        """Read a column or a constant; a constant must be of the kind of the column on the other side."""
        match node:
            case ast.Name(id=column):
                self._kind(column)
                return pc.field(column)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                constant: Any = -number
            case ast.Constant(value=bool() | int() | float() | str() as constant):
                pass
            case _:
                raise self._unreadable(node)
        if kind is datetime and isinstance(constant, str):
            try:
                return pc.scalar(literal(datetime.fromisoformat(constant).astimezone()))
            except ValueError:
                raise self._mismatch(node, node) from None
        if kind is not None and _kind_of(constant) is not kind:
            raise self._mismatch(node, node)
        return pc.scalar(literal(_real(constant) if _kind_of(constant) is float else constant))

    def _kind(self, column: str) -> type | None:
        """Tell what a column holds; None if all its values are missing."""
        check_column("--where", column, self._schema.names)
        found = self._schema.field(column).type
        if pa.types.is_null(found):
            return None
        if pa.types.is_timestamp(found):
            return datetime
        if pa.types.is_boolean(found):
            return bool
        return str if pa.types.is_string(found) else float

    def _unreadable(self, node: ast.expr) -> BadInputError:
        return BadInputError(
            f"--where {self._expression!r}: {ast.unparse(node)!r} doesn't compare a column with a value; "
            f"write {_EXAMPLE}"
        )

    def _mismatch(self, one: ast.expr, other: ast.expr) -> BadInputError:
        found = ast.unparse(one) if one is other else f"{ast.unparse(one)} with {ast.unparse(other)}"
        return BadInputError(
            f"--where {self._expression!r} compares a column with a value of another type: {found}; "
            f"numbers stand bare, texts and times in quotes"
        )


def _kind_of(value: Any) -> type:
    """Tell the kind of a constant: integers and reals are both numbers, true and false are not."""
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def _real(number: float) -> float:
    """A number as a real one: a whole one that 64 bits don't hold compares as well."""
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number > 0 or -1)
