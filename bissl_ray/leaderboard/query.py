"""The little language of --where and --sort over the board's rows.

Comparisons of a column with a number, a quoted text, true, false or a time; joined by and, or, not and
parentheses; `in (...)` and `is null`. SQL's `=` and `<>` mean what Python's `==` and `!=` do. As in SQL, a
missing value satisfies no comparison.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bissl_ray.errors import BadInputError, nearest
from bissl_ray.store.schema import Row

_Truth = bool | None  # None is SQL's "unknown"
_Predicate = Callable[[Row], _Truth]

_TOKEN: Final = re.compile(
    r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(<>)|(?<![<>=!])(=)(?!=)|\b(and|or|not|in|is|null|true|false)\b""",
    re.I,
)
_WORDS: Final = {"null": "None", "true": "True", "false": "False"}
_COMPARE: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_EXAMPLE: Final = "for example \"param_upper_lr > 0.01 and status = 'complete'\""


def where_rows(rows: Sequence[Row], expression: str) -> list[Row]:
    """Keep the rows that satisfy an expression.

    Args:
        rows: rows of the board; all have the same keys.
        expression: for example "param_upper_lr > 0.01 and status = 'complete'".

    Raises:
        BadInputError: the expression can't be read, names an unknown column, or compares a column with a
            value of another type.
    """
    try:
        tree = ast.parse(_TOKEN.sub(_to_python, expression).strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadInputError(f"--where {expression!r} can't be read; write comparisons, {_EXAMPLE}") from None
    predicate = _Reader(expression, rows).predicate(tree.body)
    return [row for row in rows if predicate(row)]


def sort_rows(rows: Sequence[Row], key: str) -> list[Row]:
    """Sort rows by a column, downwards if its name has a minus in front; missing values come last.

    Raises:
        BadInputError: there is no such column.
    """
    column = key.removeprefix("-")
    if not rows:
        return []
    check_column("--sort", column, rows)
    present = [row for row in rows if not _missing(row[column])]
    present.sort(key=lambda row: row[column], reverse=key.startswith("-"))
    return present + [row for row in rows if _missing(row[column])]


def check_column(option: str, column: str, rows: Sequence[Row]) -> None:
    """Refuse a column that the board doesn't have.

    Raises:
        BadInputError: naming the nearest column.
    """
    if column not in rows[0]:
        texts = ", and texts stand in quotes: 'pruned'" if option == "--where" else ""
        hint = nearest(column, rows[0]) or f"; `bissl-ray leaderboard --format csv | head -1` lists them{texts}"
        raise BadInputError(f"{option} names no column of the board: {column!r}{hint}")


def _to_python(match: re.Match[str]) -> str:
    text, unequal, equal, word = match.groups()
    if text is not None:
        return str(text)
    if unequal or equal:
        return "!=" if unequal else "=="
    return _WORDS.get(word.lower(), word.lower())


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


class _Reader:
    """Turns the syntax tree of one expression into a predicate; runs nothing of what it reads."""

    def __init__(self, expression: str, rows: Sequence[Row]) -> None:
        self._expression = expression
        self._rows = rows

    def predicate(self, node: ast.expr) -> _Predicate:
        """Read a node that is true or false."""
        match node:
            case ast.BoolOp(op=joint, values=values):
                parts = [self.predicate(value) for value in values]
                return _all(parts) if isinstance(joint, ast.And) else _negated(_all([_negated(p) for p in parts]))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _negated(self.predicate(operand))
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                sides = [left, *comparators]
                return _all([self._comparison(*part) for part in zip(sides, ops, comparators, strict=False)])
            case ast.Name(id=column) if self._kind(column) is bool:
                return lambda row: None if row[column] is None else bool(row[column])
        raise self._unreadable(node)

    def _comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> _Predicate:
        if isinstance(op, ast.Is | ast.IsNot) and isinstance(right, ast.Constant) and right.value is None:
            value = self._value(left, None)
            return lambda row: _missing(value(row)) is isinstance(op, ast.Is)
        if isinstance(op, ast.In | ast.NotIn) and isinstance(right, ast.Tuple | ast.List | ast.Constant):
            choices = right.elts if isinstance(right, ast.Tuple | ast.List) else [right]
            equal = [self._comparison(left, ast.Eq(), choice) for choice in choices]
            among = _negated(_all([_negated(part) for part in equal]))
            return among if isinstance(op, ast.In) else _negated(among)
        compare = _COMPARE.get(type(op))
        if compare is None:
            raise self._unreadable(right)
        kinds = {self._kind(side.id) for side in (left, right) if isinstance(side, ast.Name)} - {None}
        if len(kinds) > 1:
            raise self._mismatch(left, right)
        kind = next(iter(kinds), None)
        one, other = self._value(left, kind), self._value(right, kind)

        def compared(row: Row) -> _Truth:
            a, b = one(row), other(row)
            return None if _missing(a) or _missing(b) else compare(a, b)

        return compared

    def _value(self, node: ast.expr, kind: type | None) -> Callable[[Row], Any]:
        """Read a column or a constant; a constant must be of the kind of the column on the other side."""
        match node:
            case ast.Name(id=column):
                self._kind(column)
                return lambda row: row[column]
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                constant: Any = -number
            case ast.Constant(value=bool() | int() | float() | str() as constant):
                pass
            case _:
                raise self._unreadable(node)
        if kind is datetime and isinstance(constant, str):
            try:
                constant = datetime.fromisoformat(constant).astimezone()
            except ValueError:
                raise self._mismatch(node, node) from None
        if kind is not None and _kind_of(constant) is not kind:
            raise self._mismatch(node, node)
        return lambda _row: constant

    def _kind(self, column: str) -> type | None:
        """Tell what a column holds; None if all its values are missing."""
        if not self._rows:
            return None
        check_column("--where", column, self._rows)
        return next((_kind_of(row[column]) for row in self._rows if row[column] is not None), None)

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
    """Tell the kind of a value: integers and reals are both numbers, true and false are not."""
    if isinstance(value, str):  # a word of an enumeration too
        return str
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def _all(parts: Sequence[_Predicate]) -> _Predicate:
    def joined(row: Row) -> _Truth:
        found = [part(row) for part in parts]
        if False in found:
            return False
        return None if None in found else True

    return joined


def _negated(part: _Predicate) -> _Predicate:
    def negated(row: Row) -> _Truth:
        found = part(row)
        return None if found is None else not found

    return negated
