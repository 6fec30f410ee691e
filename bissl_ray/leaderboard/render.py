"""The board as a table for people, as JSON and CSV for programs, as Markdown for reports."""

import csv
import dataclasses
import io
import json
import math
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final, NamedTuple

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bissl_ray.leaderboard.columns import Column, columns, columns_by_name
from bissl_ray.leaderboard.marks import ended_early, marks_explained
from bissl_ray.leaderboard.verdict import Verdict
from bissl_ray.leaderboard.verdict_sentences import Outcome
from bissl_ray.metrics import of_objective
from bissl_ray.store.schema import Row
from bissl_ray.words import Kind, Standing, Status

_LONG_HEADER: Final = 8  # characters
_WIDER_THAN_ANY_TABLE: Final = 10_000
_STYLES: Final[dict[str, str]] = {
    Kind.CONTROL: "cyan",
    Status.FAILED: "red",
    Status.PAUSED: "dim",
    Status.PRUNED: "dim",
    Status.RUNNING: "yellow",
}

VERDICT_STYLES: Final[dict[Outcome, str]] = {
    "wins": "bold green",
    "wins_with_failures": "bold yellow",
    "no_difference": "bold yellow",
    "loses": "bold red",
    "unconfirmed": "yellow",
}


class Line(NamedTuple):
    """A row of a table, its style, and whether a section ends below it."""

    row: Row
    style: str | None
    ends_section: bool


def table(
    rows: Sequence[Row],
    verdicts: Sequence[Verdict],
    console: Console,
    sort: str | None = None,
    names: Sequence[str] | None = None,
) -> RenderableType:
    """Lay out the board for a console: a table per dataset that fits its width, notes, then the verdicts.

    Columns that don't fit are left out, the least important first; no number is ever cut.

    Args:
        rows: rows of the board, those of a dataset together.
        verdicts: of the sweeps to speak of.
        console: where it will be printed; gives the width.
        sort: the column that they are ordered by, which is not left out; None: by rank.
        names: of the columns to show, which are all of them, whatever the width; None: those that say something.
    """
    parts: list[RenderableType] = []
    for dataset, group in groupby(rows, key=lambda row: row["dataset"]):
        members = list(group)
        title, lines = _title(dataset, rows), board_lines(members)
        if names is None:
            parts.append(fitting_table(title, lines, columns(members, sort), console))
        else:
            chosen = columns_by_name(members, names)
            cells = [[column.cell(row) for row in members] for column in chosen]
            parts.append(_lay_out(title, lines, chosen, cells))
    notes = [*marks_explained(rows), *ended_early(rows)]
    parts.extend(Text(line, style="dim") for line in [*notes, *([""] if notes else [])])
    parts.extend(Text(verdict.in_words, style=VERDICT_STYLES[verdict.outcome]) for verdict in verdicts)
    parts.extend(Text(line) for line in _notes(verdicts))
    return Group(*parts)


def fitting_table(title: str, lines: Sequence[Line], chosen: Sequence[Column], console: Console) -> Table:
    """Lay out as many columns as a console is wide enough for; the least important are left out first."""
    unlimited = console.options.update_width(_WIDER_THAN_ANY_TABLE)
    cells = [[column.cell(line.row) for line in lines] for column in chosen]
    least_first = sorted(range(len(chosen)), key=lambda place: chosen[place].priority)

    def is_too_wide(left_out: int) -> bool:
        # A column in one cell is as wide, and measured at once.
        kept = sorted(least_first[left_out:])
        at_once = [["\n".join(cells[place])] for place in kept]
        table = _lay_out(title, [Line({}, None, False)], [chosen[place] for place in kept], at_once)
        return console.measure(table, options=unlimited).maximum > console.width

    few = bisect_left(range(len(chosen) - 1), True, key=lambda left_out: not is_too_wide(left_out))
    kept = sorted(least_first[few:])
    return _lay_out(title, lines, [chosen[place] for place in kept], [cells[place] for place in kept])


def board_lines(rows: Sequence[Row]) -> list[Line]:
    """Rows of a board as a table shows them: the winner stands out, explored and confirmed ones stand apart."""
    lines = []
    for row, below in zip(rows, [*rows[1:], None], strict=True):
        style = "bold green" if row["rank"] == 1 and row["standing"] == Standing.CONFIRMED else None
        style = style or _STYLES.get(row["kind"]) or _STYLES.get(row["status"])
        # A score before fine-tuning doesn't compare with one after it.
        lines.append(Line(row, style, below is not None and below["standing"] != row["standing"]))
    return lines


def as_json(rows: Sequence[Row], verdicts: Sequence[Verdict], **more: Sequence[Any]) -> str:
    """Write rows and verdicts as JSON, unrounded; what is missing, or not a number, is null.

    Args:
        rows: of the board.
        verdicts: of the sweeps to speak of.
        more: lists of dataclasses, by the key that they stand under.
    """
    told = {"verdicts": verdicts, **more}
    document = {name: [dataclasses.asdict(each) for each in found] for name, found in told.items()}
    return dumped({"rows": rows, **document})


def dumped(document: Any) -> str:
    """Write plain values as JSON, unrounded; what is not a number is null."""
    return json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False)


def as_csv(rows: Sequence[Row]) -> str:
    """Write the same rows and columns as the JSON has, as CSV; what is missing is empty."""
    sink = io.StringIO()
    if rows:
        writer = csv.DictWriter(sink, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(_plain(list(rows)))
    return sink.getvalue().rstrip("\n")


def as_markdown(rows: Sequence[Row], verdicts: Sequence[Verdict], names: Sequence[str] | None = None) -> str:
    """Write the columns of the table, all of them, as Markdown, with the notes and the verdicts below."""
    parts = []
    for dataset, group in groupby(rows, key=lambda row: row["dataset"]):
        members = list(group)
        chosen = columns(members) if names is None else columns_by_name(members, names)
        parts.append(f"### {_title(dataset, rows)}\n\n{markdown_table(members, chosen)}")
    parts.extend([*marks_explained(rows), *ended_early(rows), *(verdict.in_words for verdict in verdicts)])
    parts.extend(_notes(verdicts))
    return "\n\n".join(parts)


def markdown_table(rows: Sequence[Row], chosen: Sequence[Column]) -> str:
    """Write columns of rows as a table in Markdown."""
    lines = [[c.header for c in chosen], ["---:" if c.number else "---" for c in chosen]]
    lines += [[c.cell(row) for c in chosen] for row in rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _notes(verdicts: Sequence[Verdict]) -> list[str]:
    """What there is to say of each sweep beside its outcome; with its name where there are several."""
    return [
        note if len(verdicts) == 1 else f"{verdict.sweep}: {note}" for verdict in verdicts for note in verdict.notes
    ]


def _title(dataset: str, rows: Sequence[Row]) -> str:
    ours = [row for row in rows if row["dataset"] == dataset]
    names = sorted({of_objective(name).in_tables for row in ours if (name := row["objective_name"]) is not None})
    sweeps = sorted({row["sweep"] for row in ours})
    return " · ".join([dataset, *(sweeps if len(sweeps) == 1 else []), *names])


def _lay_out(title: str, lines: Sequence[Line], chosen: Sequence[Column], cells: Sequence[Sequence[str]]) -> Table:
    """A table of these columns, whose cells are given column by column."""
    laid_out = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for column in chosen:
        laid_out.add_column(_folded(column.header), justify="right" if column.number else "left", no_wrap=True)
    for line, row in zip(lines, zip(*cells, strict=True), strict=True):
        laid_out.add_row(*map(Text, row), style=line.style, end_section=line.ends_section)
    return laid_out


def _folded(header: str) -> str:
    """Break a long heading at its last underscore or space, so that it doesn't widen its column."""
    if len(header) <= _LONG_HEADER:
        return header
    for separator in ("_", " "):
        first, found, second = header.rpartition(separator)
        if found:
            return f"{first}{found.strip()}\n{second}"
    return header


def _plain(value: Any) -> Any:
    """Bring a value to what JSON and CSV hold: times in ISO 8601, nothing that is not a number."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, datetime) else value
