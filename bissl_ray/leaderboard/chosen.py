"""Which configurations of a storage a board shows, and in which order: ranked, filtered, sorted and cut in columns."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bissl_ray.leaderboard.configurations import best_control
from bissl_ray.leaderboard.in_columns import SweepColumns
from bissl_ray.leaderboard.query import Where, sorted_places, without_nan
from bissl_ray.leaderboard.ranking import row_of
from bissl_ray.store.arrays import array_of, integers, literal, missing, repeated
from bissl_ray.store.tables import united
from bissl_ray.winner import on_front, place
from bissl_ray.words import Kind

_BY_PLACE: Final = (
    ("_group", "ascending"),
    ("_seeds", "descending"),
    ("_score", "descending"),
    ("trial", "ascending"),
    ("_sweep", "ascending"),
)
"""The order of `winner.place`; of those that are level in all, the first sweep's."""
_SCORELESS: Final = 2
"""The first part of the place of a configuration that has no score."""
_TYPES: Final = {
    **{name: pa.int64() for name in ("_group", "_seeds", "_sweep", "_takes_rank", "rank")},
    **{"_score": pa.float64(), "trial": pa.string(), "kind": pa.string()},
}
"""Columns that every table here has, whatever was named."""


class Shown(NamedTuple):
    """A configuration that the board shows.

    Attributes:
        place: its dataset and sweep.
        trial: of its head.
        rank: among BiSSL's of the dataset; None for a control, and without a score.
    """

    place: tuple[str, str]
    trial: str
    rank: int | None


def choose(
    sweeps: Sequence[SweepColumns],
    named: Collection[str],
    where: Where | None,
    sort: str | None,
    pareto: bool,
    top: int | None,
    fronts: Mapping[tuple[str, str], Collection[str]],
) -> list[Shown]:
    """Choose what is shown, those of a dataset together.

    Args:
        sweeps: by dataset and name, with the columns that the next two name.
        named: columns of the board that these look at.
        where: keep the configurations that satisfy it; ranks are those among all.
        sort: order within each dataset, by this column; a minus in front reverses.
        pareto: keep those that no other of the dataset and of the same standing beats in both score and total seconds.
        top: configurations of BiSSL per dataset at most.
        fronts: trials on the front of each sweep that has one.

    Raises:
        BadInputError: the filter compares a column with a value of another type.
    """
    # A filter or another order may reach any of them.
    most = top if where is None and sort is None and not pareto else None
    datasets = [list(own) for _, own in groupby(sweeps, key=lambda sweep: sweep.place[0])]
    tables = []
    for own in datasets:
        parts = [
            part
            for number, sweep in enumerate(own)
            for part in (_told(sweep, number, named, fronts), _plain(sweep, number, named, most, fronts))
        ]
        tables.append(_ranked(united(parts, _TYPES)))
    if where is not None and tables:
        every = united(tables, _TYPES)  # what a column holds is what it holds in any dataset
        expression, none = where.over(every.schema), every.slice(0, 0)
        tables = [united([none, table], _TYPES).filter(expression) for table in tables]
    if pareto:
        tables = [_on_front(table) for table in tables]
    shown = []
    for own, table in zip(datasets, tables, strict=True):
        first = _first(table if sort is None else table.take(integers(sorted_places(table, sort))), top)
        columns = (first[name].to_pylist() for name in ("_sweep", "trial", "rank"))
        shown += [Shown(own[number].place, trial, rank) for number, trial, rank in zip(*columns, strict=True)]
    return shown


def _told(
    sweep: SweepColumns, number: int, named: Collection[str], fronts: Mapping[tuple[str, str], Collection[str]]
) -> pa.Table:
    """The configurations of a sweep that have several runs, and of its control the best."""
    control = best_control(sweep.told, sweep.place)
    told = [c for c in sweep.told if c.kind == Kind.BISSL or c is control]
    places, front = [place(c.contender) for c in told], fronts.get(sweep.place)
    rows = [row_of(c, control, sweep.told) for c in told] if named else []
    for row in rows:
        row["on_front"] = row["trial"] in front if front and row["kind"] == Kind.BISSL else None
    return pa.table(
        {
            **{name: array_of([row.get(name) for row in rows]) for name in named},
            "_group": integers(group for group, *_ in places),
            "_seeds": integers(-seeds for _, seeds, _, _ in places),
            "_score": array_of(
                [None if group == _SCORELESS else -score for group, _, score, _ in places], pa.float64()
            ),
            "_sweep": repeated(number, len(told)),
            "_takes_rank": integers(c.kind == Kind.BISSL and place(c.contender)[0] < _SCORELESS for c in told),
            "rank": pa.nulls(len(told), pa.int64()),
            "trial": array_of([c.head["trial"] for c in told], pa.string()),
            "kind": array_of([c.kind for c in told], pa.string()),
        }
    )


def _plain(
    sweep: SweepColumns,
    number: int,
    named: Collection[str],
    most: int | None,
    fronts: Mapping[tuple[str, str], Collection[str]],
) -> pa.Table:
    """The other configurations of a sweep, all explored; only the first of them if no more can be shown."""
    plain = sweep.plain if most is None else sweep.first(most)
    scored = pc.is_valid(plain["objective"])
    columns = {name: plain[name] for name in plain.column_names if name in named}
    if "on_front" in named and (front := fronts.get(sweep.place)):
        columns["on_front"] = pc.is_in(plain["trial"], value_set=array_of(list(front)))
    return pa.table(
        {
            **columns,
            "_group": pc.if_else(scored, literal(_SCORELESS - 1), literal(_SCORELESS)),
            "_seeds": repeated(0, len(plain)),
            "_score": plain["objective"],
            "_sweep": repeated(number, len(plain)),
            "_takes_rank": scored.cast(pa.int64()),
            "rank": pa.nulls(len(plain), pa.int64()),
            "trial": plain["trial"],
            "kind": repeated(Kind.BISSL, len(plain)),
        }
    )


def _ranked(table: pa.Table) -> pa.Table:
    """The configurations of a dataset in the order of their places, with their ranks."""
    ordered = without_nan(table.take(pc.sort_indices(table, sort_keys=list(_BY_PLACE))))
    takes = np.from_dlpack(ordered["_takes_rank"].combine_chunks())
    ranks = pc.if_else(ordered["_takes_rank"].cast(pa.bool_()), integers(np.cumsum(takes)), missing(pa.int64()))
    return ordered.set_column(ordered.column_names.index("rank"), "rank", ranks)


def _on_front(table: pa.Table) -> pa.Table:
    """The configurations of a dataset that no other of the same standing beats in both, and its controls."""
    columns = (table[name].to_pylist() for name in ("kind", "standing", "objective", "total_seconds"))
    kept, told = set(), defaultdict(list)
    for number, (kind, standing, score, seconds) in enumerate(zip(*columns, strict=True)):
        if kind == Kind.CONTROL:
            kept.add(number)
        elif score is not None and seconds is not None:
            told[standing].append((number, score, seconds))
    for members in told.values():
        flags = on_front([(score, seconds) for _, score, seconds in members])
        kept |= {number for (number, _, _), is_on in zip(members, flags, strict=True) if is_on}
    return table.take(integers(sorted(kept)))


def _first(table: pa.Table, top: int | None) -> pa.Table:
    """The first configurations, and the controls wherever they stand: they are what the others are held against."""
    if top is None:
        return table
    ours = pc.equal(table["kind"], literal(Kind.BISSL))
    before = integers(np.cumsum(np.from_dlpack(ours.cast(pa.int64()).combine_chunks())))
    return table.filter(pc.or_(pc.invert(ours), pc.less_equal(before, literal(top))))
