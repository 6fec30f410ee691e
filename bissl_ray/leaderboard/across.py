"""The best of every dataset beside each other: which settings win everywhere, and which only here."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bissl_ray.leaderboard.columns import describe_status, parameter_names
from bissl_ray.leaderboard.numbers import duration, setting
from bissl_ray.leaderboard.render import VERDICT_STYLES
from bissl_ray.leaderboard.verdict import Verdict
from bissl_ray.metrics import of_objective
from bissl_ray.store.schema import Row
from bissl_ray.words import PARAMETER_PREFIX, Kind


def best_of_each(rows: Sequence[Row]) -> list[Row]:
    """The first configuration of BiSSL of each dataset, as the rows of a board stand."""
    found: dict[str, Row] = {}
    for row in rows:
        if row["kind"] == Kind.BISSL:
            found.setdefault(row["dataset"], row)
    return list(found.values())


def across_table(rows: Sequence[Row], verdicts: Sequence[Verdict]) -> RenderableType:
    """A column for each dataset: its first configuration of BiSSL, with the settings that differ from one to another.

    Args:
        rows: of a board.
        verdicts: on their sweeps.
    """
    best = best_of_each(rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("")
    for row in best:
        table.add_column(row["dataset"], justify="right")
    for name, cells in _lines(best):
        table.add_row(name, *cells)
    same = [name for name in parameter_names(best) if _same(best, name) is not None]
    parts: list[RenderableType] = [table]
    if len(best) > 1 and same:
        told = ", ".join(f"{name} {setting(_same(best, name))}" for name in same)
        parts.append(Text(f"The same everywhere: {told}", style="dim"))
    shown = {(row["dataset"], row["sweep"]) for row in best}
    for verdict in verdicts:
        if (verdict.dataset, verdict.sweep) in shown:
            parts.append(Text(verdict.in_words, style=VERDICT_STYLES[verdict.outcome]))
    return Group(*parts)


def _lines(best: Sequence[Row]) -> list[tuple[str, list[str]]]:
    def spread(row: Row, name: str) -> str:
        metric, mean, high = of_objective(row["objective_name"]), row[name], row[f"{name}_high"]
        written = metric.gain(mean) if name == "gain" else metric.score(mean, unit="")
        return written if high is None or mean is None else f"{written} ± {metric.spread(high - mean)}"

    lines = [
        ("trial", [str(row["trial"]) for row in best]),
        ("sweep", [str(row["sweep"]) for row in best]),
        ("status", [describe_status(row) for row in best]),
        ("score %", [spread(row, "objective") for row in best]),
        ("gain", [spread(row, "gain") for row in best]),
        ("test %", [spread(row, "test_metric") for row in best]),
        ("seeds", [setting(row["seeds"] or None) for row in best]),
        ("time", [duration(row["total_seconds"]) for row in best]),
    ]
    differing = [name for name in parameter_names(best) if len({row[PARAMETER_PREFIX + name] for row in best}) > 1]
    lines += [(name, [setting(row[PARAMETER_PREFIX + name]) for row in best]) for name in differing]
    return [(name, cells) for name, cells in lines if any(cells)]


def _same(best: Sequence[Row], name: str) -> object:
    """The value that all of them have; None where they differ, or have none."""
    values = {row[PARAMETER_PREFIX + name] for row in best}
    return values.pop() if len(values) == 1 else None
