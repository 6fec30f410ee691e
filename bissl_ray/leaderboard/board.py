"""From a storage to what the board shows: rows that were asked for, and the verdicts on their sweeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from bissl_ray.errors import BadInputError, nearest
from bissl_ray.leaderboard.query import check_column, sort_rows, where_rows
from bissl_ray.leaderboard.ranking import rank
from bissl_ray.leaderboard.render import VERDICT_STYLES
from bissl_ray.leaderboard.verdict import Verdict, verdicts
from bissl_ray.store import read_trials, to_rows
from bissl_ray.store.schema import Row
from bissl_ray.words import Kind


@dataclass(frozen=True)
class Board:
    """What is shown.

    Attributes:
        rows: as `rank` gives them, those of a dataset together.
        verdicts: one per sweep, whatever rows were asked for.
        empty: whether the storage holds no trial at all.
    """

    rows: list[Row]
    verdicts: list[Verdict]
    empty: bool


def read_board(
    storage: str | Path,
    dataset: str | None = None,
    sweep: str | None = None,
    where: str | None = None,
    sort: str | None = None,
    top: int | None = None,
) -> Board:
    """Read, rank, filter, sort and cut.

    Args:
        storage: a local path or a URI that pyarrow knows.
        dataset: only this one.
        sweep: only this one.
        where: keep the rows that satisfy this expression; ranks are those among all.
        sort: order within each dataset, by this column; a minus in front reverses.
        top: rows per dataset at most.

    Raises:
        BadInputError: an unknown dataset, sweep or column, or an expression that can't be read.
    """
    trials = to_rows(read_trials(storage))
    chosen = trials
    for column, wanted in (("dataset", dataset), ("sweep", sweep)):
        if wanted is not None and trials:
            chosen = _only(chosen, column, wanted, storage)
    rows = rank(chosen)
    judged = verdicts(chosen, storage)
    fronts = {(verdict.dataset, verdict.sweep): verdict.front for verdict in judged if verdict.front}
    for row in rows:
        if row["kind"] == Kind.BISSL and (front := fronts.get((row["dataset"], row["sweep"]))):
            row["on_front"] = row["trial"] in front
    if sort is not None and rows:
        check_column("--sort", sort.removeprefix("-"), rows)
    if where is not None:
        rows = where_rows(rows, where)
    shown: list[Row] = []
    for _, group in groupby(rows, key=lambda row: row["dataset"]):
        members = list(group)
        shown += _first(members if sort is None else sort_rows(members, sort), top)
    return Board(shown, judged, empty=not trials)


def outcomes(storage: str | Path, sweeps: Sequence[str]) -> RenderableType:
    """The outcome of each of some sweeps, in the order of their names, a line each, in the colour of the verdict.

    Args:
        storage: a local path or a URI that pyarrow knows.
        sweeps: their names.
    """
    found = verdicts([row for row in to_rows(read_trials(storage)) if row["sweep"] in sweeps])
    return Group(*(Text(f"{each.sweep}: {each.in_words}", style=VERDICT_STYLES[each.outcome]) for each in found))


def _first(rows: list[Row], top: int | None) -> list[Row]:
    """The first rows, and the control wherever it stands: it is what the others are held against."""
    counted = accumulate(row["kind"] != Kind.CONTROL for row in rows)
    return [
        row
        for row, count in zip(rows, counted, strict=True)
        if top is None or count <= top or row["kind"] == Kind.CONTROL
    ]


def find_trial(storage: str | Path, trial: str, sweep: str | None = None) -> tuple[Row, list[Row]]:
    """Find one trial and the runs that tune or confirm it.

    Raises:
        BadInputError: there is no such trial, or several sweeps have one of that name.
    """
    trials = to_rows(read_trials(storage))
    if not trials:
        raise BadInputError(f"no trial in {storage}; start a sweep with `bissl-ray sweep`, or give --storage")
    chosen = trials if sweep is None else _only(trials, "sweep", sweep, storage)
    named = _only(chosen, "trial", trial, storage)
    if len(named) > 1:
        places = sorted(f"{row['sweep']} ({row['dataset']})" for row in named)
        raise BadInputError(f"trial {trial!r} is in {len(named)} sweeps; choose one with --sweep: {', '.join(places)}")
    found = named[0]
    place = (found["dataset"], found["sweep"], trial)
    return found, [row for row in chosen if (row["dataset"], row["sweep"], row["parent"]) == place]


def _only(rows: Sequence[Row], column: str, wanted: str, storage: str | Path) -> list[Row]:
    names = sorted({row[column] for row in rows})
    if wanted not in names:
        few = f"it has {', '.join(names)}" if len(names) <= 12 else f"it has {len(names)} of them"
        raise BadInputError(f"no {column} {wanted!r} in {storage}: {few}{nearest(wanted, names)}")
    return [row for row in rows if row[column] == wanted]
