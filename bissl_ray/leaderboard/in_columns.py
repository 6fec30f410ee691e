"""One sweep in columns: objects only of the few configurations that have several runs, however many it has explored."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from bissl_ray.leaderboard.configurations import Configuration, gather
from bissl_ray.leaderboard.marks import IDENTITY_BELOW, UNSOLVED_FROM
from bissl_ray.store.arrays import array_of, literal, missing, repeated
from bissl_ray.store.schema import Row
from bissl_ray.store.tables import to_rows
from bissl_ray.words import PARAMETER_PREFIX, Kind, Phase, Standing, Status, Step

READ: Final = (
    *("trial", "parent", "status", "phase", "step", "control", "seed"),
    *("objective", "objective_name", "test_metric", "origin", "seconds"),
)
"""What of a trial says where its configuration stands, and what a verdict and its notes look at."""

_NOTHING: Final = missing(pa.float64())

EXPLORED: Final = ("trial", "status", "objective", "objective_name", "origin", "seconds")
"""Columns of the explore trials of a sweep, for what is said of all of them."""


class _Sparse(dict[str, Any]):
    """A row of which only some columns were read; the others count as missing."""

    def __missing__(self, name: str) -> None:
        return None


@dataclass(frozen=True)
class SweepColumns:
    """What of a sweep can reach the board.

    Attributes:
        place: dataset and name.
        told: configurations that have been tuned or confirmed, and those of a control, with the columns that were
            read.
        plain: trial and score of the explore trials beside those, and the board's columns that were asked for.
        explored: all explore trials, in the columns of `EXPLORED`.
        settings: columns of settings among those that were read.
    """

    place: tuple[str, str]
    told: list[Configuration]
    plain: pa.Table
    explored: pa.Table
    settings: frozenset[str]

    def first(self, most: int) -> pa.Table:
        """The first of the plain ones, by score; no more than asked for, in no particular order."""
        keys = [("objective", "descending"), ("trial", "ascending")]
        return self.plain.take(pc.select_k_unstable(self.plain, most, keys)) if most < len(self.plain) else self.plain

    def with_best(self) -> list[Configuration]:
        """Those that are told, and the best of the others: all that a verdict looks at."""
        best = [] if not len(self.plain) else [_plain_configuration(self.place, row) for row in to_rows(self.first(1))]
        return [*self.told, *best]


def in_columns(rows: pa.Table, board: Collection[str] = ()) -> SweepColumns:
    """Part the trials of one sweep.

    Args:
        rows: its newest rows, at least the columns of `READ`, and as far as it has them those of
            `trial_columns(board)`.
        board: columns of the board that the plain ones are to have.
    """
    child = pc.is_in(rows["parent"], value_set=rows["trial"].combine_chunks())
    search = pc.equal(rows["step"], literal(Step.SEARCH))
    parents = rows.filter(child)["parent"].combine_chunks()
    alone = pc.and_(pc.invert(child), pc.invert(pc.is_in(rows["trial"], value_set=parents)))
    own = pc.and_(pc.not_equal(rows["phase"], literal(Phase.CONTROL)), pc.is_null(rows["control"]))
    plain = pc.and_(pc.and_(search, alone), own)
    return SweepColumns(
        place=(rows["dataset"][0].as_py(), rows["sweep"][0].as_py()),
        told=gather(map(_Sparse, to_rows(rows.filter(pc.invert(plain))))),
        plain=board_columns(rows.filter(plain), board),
        explored=rows.filter(pc.and_(search, pc.invert(child))).select(EXPLORED),
        settings=frozenset(name for name in rows.column_names if name.startswith(PARAMETER_PREFIX)),
    )


def explored_of(configurations: Collection[Configuration]) -> pa.Table:
    """Explore trials in the columns of `EXPLORED`, where there are configurations already."""
    heads = [c.head for c in configurations if c.head["step"] == Step.SEARCH]
    types = (pa.string(), pa.string(), pa.float64(), pa.string(), pa.string(), pa.float64())
    columns = zip(EXPLORED, types, strict=True)
    return pa.table({name: array_of([head[name] for head in heads], type_) for name, type_ in columns})


def trial_columns(board: Collection[str]) -> set[str]:
    """The columns of trials from which columns of the board are made."""
    made_of = {"acts_as_identity": "implicit_change", "unsolved": "cg_residual"}
    totals = {"total_seconds": "seconds", "total_gpu_seconds": "gpu_seconds"}
    return {(made_of | totals).get(name, name) for name in board}


def board_columns(plain: pa.Table, board: Collection[str]) -> pa.Table:
    """What the board says of explore trials that have no further run: their score, and the columns asked for.

    Args:
        plain: rows of such trials.
        board: names of columns; one that it knows nothing of is left out.
    """
    failed = pc.equal(plain["status"], literal(Status.FAILED))
    score = pc.if_else(failed, _NOTHING, finite_column(plain["objective"]))
    columns: dict[str, pa.ChunkedArray] = {name: plain[name] for name in plain.column_names if name in board}
    columns |= {"trial": plain["trial"], "objective": score, "objective_name": plain["objective_name"]}
    for name in board:
        if (make := _MADE.get(name)) is not None:
            columns[name] = make(plain)
    if "explore_objective" in board:
        columns["explore_objective"] = score
    for name in board:
        if (type_ := _ONLY_TOLD.get(name)) is not None:
            columns[name] = pa.nulls(len(plain), type_)
    return pa.table(columns)


def finite_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column in which what is no finite number is missing."""
    return pc.if_else(pc.fill_null(pc.is_finite(column), literal(False)), column, _NOTHING)


def _identity(plain: pa.Table) -> pa.ChunkedArray:
    return _judged(plain, pc.less(plain["implicit_change"], literal(IDENTITY_BELOW)))


def _unsolved(plain: pa.Table) -> pa.ChunkedArray:
    return _judged(plain, pc.greater_equal(plain["cg_residual"], literal(UNSOLVED_FROM)))


def _judged(plain: pa.Table, holds: pa.ChunkedArray) -> pa.ChunkedArray:
    unjudged = pc.is_in(plain["status"], value_set=array_of([Status.RUNNING, Status.FAILED]))
    return pc.if_else(unjudged, missing(pa.bool_()), holds)


def _always(value: object) -> Callable[[pa.Table], pa.ChunkedArray]:
    return lambda plain: pa.chunked_array([repeated(value, len(plain))])


_MADE: Final[Mapping[str, Callable[[pa.Table], pa.ChunkedArray]]] = {
    "kind": _always(str(Kind.BISSL)),
    "standing": _always(str(Standing.EXPLORED)),
    "seeds": _always(0),
    "gain_seeds": _always(0),
    "acts_as_identity": _identity,
    "unsolved": _unsolved,
    "moved": lambda plain: finite_column(plain["moved"]),
    "total_seconds": lambda plain: finite_column(plain["seconds"]),
    "total_gpu_seconds": lambda plain: finite_column(plain["gpu_seconds"]),
}
_ONLY_TOLD: Final = {
    **{f"{name}{end}": pa.float64() for name in ("objective", "gain", "test_metric") for end in ("_low", "_high")},
    **{"gain": pa.float64(), "test_metric": pa.float64(), "tied": pa.bool_(), "seeds_to_tell": pa.int64()},
}
"""Columns of the board in which only a configuration that is confirmed has anything."""


def _plain_configuration(place: tuple[str, str], row: Row) -> Configuration:
    """A plain one, as far as a verdict looks at it."""
    known = {"status": Status.COMPLETE, "phase": Phase.EXPLORE, "step": Step.SEARCH, "control": None, "parent": None}
    return Configuration(Kind.BISSL, {**row, **known, "dataset": place[0], "sweep": place[1]}, (), ())
