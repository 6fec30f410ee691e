"""The columns that the board shows, and which to leave out first when the terminal is narrow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bissl_ray.controls import CONTROLS, PLAIN
from bissl_ray.leaderboard.marks import FRONT_MARK, IDENTITY_MARK, TIE_MARK, UNSOLVED_MARK
from bissl_ray.leaderboard.numbers import duration, relative, setting, size
from bissl_ray.metrics import Metric, of_objective
from bissl_ray.store.schema import Row
from bissl_ray.words import PARAMETER_PREFIX, Kind, Standing

_FIRST_PARAMETERS: Final = ("lower_lr", "upper_lr", "cg_iterations", "proximity_weight", "damping")
_PARAMETER_PRIORITY: Final = 40
_SORTED_BY: Final = 97


@dataclass(frozen=True)
class Column:
    """One column of the board.

    Attributes:
        header: its heading.
        priority: the column with the smallest is left out first.
        cell: row of the board -> its text.
        number: whether it is aligned to the right.
        key: of the row's value that it shows, where people may sort by it.
    """

    header: str
    priority: int
    cell: Callable[[Row], str]
    number: bool = True
    key: str = ""


_BEFORE: Final = (
    Column("#", 100, lambda row: "" if row["rank"] is None else str(row["rank"]), key="rank"),
    Column("trial", 99, lambda row: _marked(row), number=False, key="trial"),
    Column("sweep", 60, lambda row: row["sweep"], number=False, key="sweep"),
    Column("labels", 88, lambda row: _labels(row), key="labels_per_class"),
    Column("status", 90, lambda row: describe_status(row), number=False, key="status"),
    Column("score %", 98, lambda row: _metric(row).score(row["objective"], unit=""), key="objective"),
    Column("±", 80, lambda row: _half_width(row, "objective")),
    Column("seeds", 50, lambda row: str(row["seeds"]) if row["seeds"] else "", key="seeds"),
    Column("seeds to tell", 46, lambda row: setting(row["seeds_to_tell"]), key="seeds_to_tell"),
    Column("gain", 85, lambda row: _metric(row).gain(row["gain"]), key="gain"),
    Column("± gain", 70, lambda row: _half_width(row, "gain")),
    Column("test %", 84, lambda row: _metric(row).score(row["test_metric"], unit=""), key="test_metric"),
)
_AFTER: Final = (
    Column("alternations", 22, lambda row: setting(row["alternations"]), key="alternations"),
    Column("HVPs", 21, lambda row: setting(row["hvps"]), key="hvps"),
    Column("residual", 20, lambda row: setting(row["cg_residual"]), key="cg_residual"),
    Column("implicit change", 19, lambda row: relative(row["implicit_change"]), key="implicit_change"),
    Column("kNN %", 14, lambda row: _metric(row).score(row["lower_knn"], unit=""), key="lower_knn"),
    Column("probe %", 13, lambda row: _metric(row).score(row["lower_probe"], unit=""), key="lower_probe"),
    Column("moved", 12, lambda row: relative(row["moved"]), key="moved"),
    Column("time", 45, lambda row: duration(row["total_seconds"]), key="total_seconds"),
    Column(
        "GPU h",
        23,
        lambda row: "" if row["total_gpu_seconds"] is None else f"{row['total_gpu_seconds'] / 3600:.2f}",
        key="total_gpu_seconds",
    ),
    Column("memory", 16, lambda row: size(row["peak_memory"]), key="peak_memory"),
    Column("proposed by", 15, lambda row: row["origin"] or "", number=False, key="origin"),
)


def describe_status(row: Row) -> str:
    """Say in a word where a row stands: control and confirmed say more than complete."""
    if row["kind"] == Kind.CONTROL:
        return Kind.CONTROL if row["control"] in (None, PLAIN) else CONTROLS[row["control"]].title
    return Standing.CONFIRMED if row["standing"] == Standing.CONFIRMED else str(row["status"])


def _labels(row: Row) -> str:
    draw = row["label_draw"]
    return f"{setting(row['labels_per_class'])}{'' if draw is None else f' (draw {draw})'}"


def _marked(row: Row) -> str:
    marks = {
        FRONT_MARK: row["on_front"],
        TIE_MARK: row["tied"],
        IDENTITY_MARK: row["acts_as_identity"],
        UNSOLVED_MARK: row["unsolved"],
    }
    return " ".join([str(row["trial"]), *(mark for mark, holds in marks.items() if holds)])


def columns(rows: Sequence[Row], sort: str | None = None) -> list[Column]:
    """Choose the columns that have something to say about these rows, in the order in which they stand.

    Of the hyperparameters these are the ones that differ between rows.

    Args:
        rows: of the board.
        sort: what they are sorted by, whose column is as important as any: without it the order says nothing.
    """
    one_sweep = len({row["sweep"] for row in rows}) == 1
    key = None if sort is None else sort.removeprefix("-")
    chosen = [
        replace(column, priority=_SORTED_BY) if column.key == key else column
        for column in (*_BEFORE, *_parameters(rows), *_AFTER)
    ]
    if not all(_metric(row).share for row in rows):
        chosen = [replace(column, header=column.header.removesuffix(" %")) for column in chosen]
    return [
        column
        for column in chosen
        if column.priority >= 90
        or (any(column.cell(row) for row in rows) and not (column.header == "sweep" and one_sweep))
    ]


def columns_by_name(rows: Sequence[Row], names: Sequence[str]) -> list[Column]:
    """The columns of these names, in their order.

    Args:
        rows: of the board.
        names: of a row's values, as --sort and --where know them.
    """
    of_key = {column.key: column for column in (*_BEFORE, *_AFTER) if column.key}
    settings = {PARAMETER_PREFIX + name for name in parameter_names(rows)}
    return [
        replace(of_key[name], priority=_SORTED_BY)
        if name in of_key
        else Column(
            name.removeprefix(PARAMETER_PREFIX), _SORTED_BY, _reading(name) if name in settings else _written(name)
        )
        for name in names
    ]


def _written(key: str) -> Callable[[Row], str]:
    """Write a value of the row as it is."""
    return lambda row: setting(row[key]) if isinstance(row[key], int | float | str | None) else f"{row[key]:%F %H:%M}"


def parameter_names(rows: Sequence[Row]) -> list[str]:
    """List the hyperparameters of the rows, without prefix, those of the bilevel method first."""
    columns = [name for name in rows[0] if name.startswith(PARAMETER_PREFIX)] if rows else []
    names = [name.removeprefix(PARAMETER_PREFIX) for name in columns]
    first = [name for name in _FIRST_PARAMETERS if name in names]
    return first + [name for name in names if name not in first]


def _parameters(rows: Sequence[Row]) -> list[Column]:
    ours = [row for row in rows if row["kind"] == Kind.BISSL]
    keys = {name: PARAMETER_PREFIX + name for name in parameter_names(rows)}
    differing = [name for name, key in keys.items() if len({row[key] for row in ours}) > 1]
    return [
        Column(name, max(_PARAMETER_PRIORITY - place, 24), _reading(keys[name]), key=keys[name])
        for place, name in enumerate(differing)
    ]


def _reading(key: str) -> Callable[[Row], str]:
    """Read a hyperparameter; plain fine-tuning leaves out those of BiSSL, which it doesn't use."""
    of_both = key.startswith(f"{PARAMETER_PREFIX}finetune")
    return lambda row: setting(row[key]) if of_both or row["kind"] != Kind.CONTROL else ""


def _metric(row: Row) -> Metric:
    return of_objective(row["objective_name"])


def _half_width(row: Row, name: str) -> str:
    high = row[f"{name}_high"]
    return "" if high is None else _metric(row).spread(high - row[name])
