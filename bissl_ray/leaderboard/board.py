"""From a storage to what the board shows: rows that were asked for, and the verdicts on their sweeps.

What is shown is chosen in columns (`in_columns`), by a few of those that a storage holds; only the rows of what was
chosen are read whole. So a board takes the time and the memory of reading these few, however many trials there are.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Group, RenderableType
from rich.text import Text

from bissl_ray.errors import BadInputError, nearest
from bissl_ray.leaderboard.chosen import Shown, choose
from bissl_ray.leaderboard.configurations import Configuration, best_control, gather
from bissl_ray.leaderboard.in_columns import READ, SweepColumns, in_columns, trial_columns
from bissl_ray.leaderboard.query import Where, check_column
from bissl_ray.leaderboard.ranking import BOARD_COLUMNS, FROM_TRIAL, row_of
from bissl_ray.leaderboard.render import VERDICT_STYLES
from bissl_ray.leaderboard.verdict import Verdict, judge, with_notes
from bissl_ray.store import read_trials, to_rows
from bissl_ray.store.arrays import array_of, literal
from bissl_ray.store.reader import places_of, read_sweeps
from bissl_ray.store.schema import Row
from bissl_ray.words import PARAMETER_PREFIX, Kind, Phase


@dataclass(frozen=True)
class Board:
    """What is shown.

    Attributes:
        rows: as `rank` gives them, those of a dataset together.
        verdicts: one per sweep, whatever rows were asked for; with notes on those that have a row.
        empty: whether there is no trial at all.
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
    columns: Sequence[str] = (),
    pareto: bool = False,
) -> Board:
    """Read, rank, filter, sort and cut.

    Args:
        storage: a local path or a URI that pyarrow knows.
        dataset: only this one.
        sweep: only this one.
        where: keep the rows that satisfy this expression; ranks are those among all.
        sort: order within each dataset, by this column; a minus in front reverses.
        top: rows per dataset at most.
        columns: names that will be looked for in the rows, refused where no row has them.
        pareto: keep the configurations that no other of the dataset and of the same standing beats in both score and
            total seconds.

    Raises:
        BadInputError: an unknown dataset, sweep or column, or an expression that can't be read.
    """
    asked = None if where is None else Where(where)
    named = (set() if asked is None else asked.columns) | (set() if sort is None else {sort.removeprefix("-")})
    if pareto:
        named |= {"objective", "total_seconds", "standing"}
    if dataset is not None or sweep is not None:
        _check_place(storage, dataset, sweep)
    of_trials = {*READ, *trial_columns(named)}
    found = read_sweeps(storage, of_trials, lambda rows: in_columns(rows, named), dataset, sweep)
    if found:
        wanted = {"--sort": [sort.removeprefix("-")] if sort else [], "--columns": columns}
        _check_columns(storage, found, wanted | {"--where": [] if asked is None else sorted(asked.columns)})
    judged = {each.place: judge(each.with_best(), each.place) for each in found}
    noted: dict[tuple[str, str], Verdict] = {}
    if "on_front" in named:
        noted = {each.place: with_notes(judged[each.place], each.told, each.explored, storage) for each in found}
    chosen = choose(found, named, asked, sort, pareto, top, {place: verdict.front for place, verdict in noted.items()})
    whole = _whole(storage, chosen, judged)
    for each in found:
        if (read := whole.get(each.place)) is not None:
            told = [read.get(c.head["trial"], c) for c in each.told]
            judged[each.place] = with_notes(judged[each.place], told, each.explored, storage)
    return Board(list(_rows(chosen, whole, judged)), list(judged.values()), empty=not found)


def _whole(
    storage: str | Path, chosen: Sequence[Shown], judged: Mapping[tuple[str, str], Verdict]
) -> dict[tuple[str, str], dict[str, Configuration]]:
    """What is shown, all columns of all its runs, by sweep and trial; with it the sweep's best and its control."""
    wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
    for each in chosen:
        wanted[each.place] |= {each.trial, judged[each.place].winner or each.trial}

    def few(place: tuple[str, str], rows: pa.Table) -> pa.ChunkedArray:
        names = array_of(list(wanted[place]))
        own = pc.or_(pc.is_in(rows["trial"], value_set=names), pc.is_in(rows["parent"], value_set=names))
        return pc.or_(own, pc.or_(pc.equal(rows["phase"], literal(Phase.CONTROL)), pc.is_valid(rows["control"])))

    columns = ("trial", "parent", "phase", "control")
    of_sweep = lambda rows: gather(to_rows(rows))  # noqa: E731
    read = read_sweeps(storage, columns, of_sweep, only=wanted.keys(), few=few) if wanted else []
    return {each[0].sweep: {c.head["trial"]: c for c in each} for each in read if each}


def _rows(
    chosen: Sequence[Shown],
    whole: Mapping[tuple[str, str], Mapping[str, Configuration]],
    judged: Mapping[tuple[str, str], Verdict],
) -> Iterator[Row]:
    """The rows of what is shown, in that order."""
    heads = [next(iter(whole[place].values())).head for place in sorted(whole)]
    settings = dict.fromkeys(name for head in heads for name in head if name.startswith(PARAMETER_PREFIX))
    for place, trial, rank in chosen:
        read = whole.get(place, {})
        if trial not in read:  # its sweep has been removed meanwhile
            continue
        row = row_of(read[trial], best_control(read.values(), place), read.values()) | {"rank": rank}
        front = judged[place].front
        if front and row["kind"] == Kind.BISSL:
            row["on_front"] = trial in front
        # In the same order of all rows, whichever sweep they are of.
        of_trial = {name: value for name, value in row.items() if not name.startswith(PARAMETER_PREFIX)}
        yield of_trial | {name: row.get(name) for name in settings}


def _check_place(storage: str | Path, dataset: str | None, sweep: str | None) -> None:
    """Refuse a dataset or a sweep of which there is no trial, in a storage that has any."""
    places = places_of(storage)
    for what, number, wanted in (("dataset", 0, dataset), ("sweep", 1, sweep)):
        if wanted is not None and places:
            names = [place[number] for place in places]
            _check_name(what, wanted, names, storage)
            places = [place for place in places if place[number] == wanted]


def _check_columns(storage: str | Path, found: Sequence[SweepColumns], asked: Mapping[str, Sequence[str]]) -> None:
    """Refuse a column that the board doesn't have."""
    for option, name in [(option, name) for option, names in asked.items() for name in names]:
        if name in BOARD_COLUMNS or name in FROM_TRIAL:
            continue
        if name.startswith(PARAMETER_PREFIX) and any(name in each.settings for each in found):
            continue
        places = {each.place for each in found}
        one = lambda _, rows: pc.is_in(rows["trial"], value_set=rows["trial"].slice(0, 1).combine_chunks())  # noqa: E731
        every = read_sweeps(storage, ("trial",), lambda rows: rows.column_names, only=places, few=one)
        settings = {name for place in every for name in place}
        known = [*BOARD_COLUMNS, *FROM_TRIAL, *sorted(n for n in settings if n.startswith(PARAMETER_PREFIX))]
        check_column(option, name, known)


def outcomes(storage: str | Path, sweeps: Sequence[str]) -> RenderableType:
    """The outcome of each of some sweeps, in the order of their names, a line each, in the colour of the verdict.

    Args:
        storage: a local path or a URI that pyarrow knows.
        sweeps: their names.
    """
    places = {place for place in places_of(storage) if place[1] in sweeps}
    found = [judge(each.with_best(), each.place) for each in read_sweeps(storage, READ, in_columns, only=places)]
    return Group(*(Text(f"{each.sweep}: {each.in_words}", style=VERDICT_STYLES[each.outcome]) for each in found))


def find_trial(storage: str | Path, trial: str, sweep: str | None = None) -> tuple[Row, list[Row]]:
    """Find one trial and the runs that tune or confirm it.

    Raises:
        BadInputError: there is no such trial, or several sweeps have one of that name.
    """
    places = places_of(storage)
    if not places:
        raise BadInputError(f"no trial in {storage}; start a sweep with `bissl-ray sweep`, or give --storage")
    if sweep is not None:
        _check_place(storage, None, sweep)
    names = read_sweeps(storage, (), lambda rows: rows.select(["dataset", "sweep", "trial"]), sweep=sweep)
    named = [to_rows(each.filter(pc.equal(each["trial"], literal(trial)))) for each in names]
    with_it = [row for rows in named for row in rows]
    if not with_it:
        _check_name("trial", trial, [name for each in names for name in each["trial"].to_pylist()], storage)
    if len(with_it) > 1:
        many = sorted(f"{row['sweep']} ({row['dataset']})" for row in with_it)
        raise BadInputError(f"trial {trial!r} is in {len(many)} sweeps; choose one with --sweep: {', '.join(many)}")
    own = to_rows(read_trials(storage, with_it[0]["dataset"], with_it[0]["sweep"]))
    found = next(row for row in own if row["trial"] == trial)
    return found, [row for row in own if row["parent"] == trial]


def _check_name(what: str, wanted: str, names: Collection[str], storage: str | Path) -> None:
    if wanted not in names:
        known = sorted(set(names))
        few = f"it has {', '.join(known)}" if len(known) <= 12 else f"it has {len(known)} of them"
        raise BadInputError(f"no {what} {wanted!r} in {storage}: {few}{nearest(wanted, known)}")
