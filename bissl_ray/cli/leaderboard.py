"""`bissl-ray leaderboard`: who won, by how much, at what cost."""

import time
import warnings
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from bissl_ray.leaderboard import Board

_REDRAW_INTERVAL = 2.0  # seconds
_AROUND_ROWS = 12  # lines of a watched board that are no rows: headings, notes, verdict


class Format(StrEnum):
    """How the board is written."""

    table = "table"
    json = "json"
    csv = "csv"
    md = "md"


def leaderboard(
    storage: Annotated[str, typer.Option(help="Folder or URI that holds the results.")] = "./runs",
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    sweep: Annotated[str | None, typer.Option(help="Only this sweep.")] = None,
    top: Annotated[int, typer.Option(min=1, help="At most this many rows per dataset.")] = 20,
    sort: Annotated[
        str | None, typer.Option(help="Order by this column; with a minus in front from large to small.")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Only such rows: \"param_upper_lr > 0.01 and status = 'complete'\".")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Redraw every two seconds until Ctrl-C.")] = False,
    format: Annotated[Format, typer.Option(help="How to write it.")] = Format.table,
) -> None:
    """Rank the trials of all sweeps, and say whether BiSSL beats plain fine-tuning beyond seed noise."""
    from rich.console import Console

    from bissl_ray.errors import BadInputError
    from bissl_ray.leaderboard import as_csv, as_json, as_markdown, table

    console = Console()
    if watch:
        if format is not Format.table or not console.is_terminal:
            raise BadInputError("--watch redraws a table in a terminal; leave it out to write elsewhere")
        rows = min(top, max(1, console.height - _AROUND_ROWS))
        _watch(console, lambda: _read(storage, dataset, sweep, where, sort, rows), sort)
        return
    board, notes = _read(storage, dataset, sweep, where, sort, top)
    for note in notes:
        typer.echo(note, err=True)
    if format is Format.table:
        console.print(table(board.rows, board.verdicts, console, sort))
    elif format is Format.json:
        typer.echo(as_json(board.rows, board.verdicts))
    else:
        text = as_csv(board.rows) if format is Format.csv else as_markdown(board.rows, board.verdicts)
        typer.echo(text, nl=bool(text))


def _read(
    storage: str, dataset: str | None, sweep: str | None, where: str | None, sort: str | None, top: int
) -> "tuple[Board, list[str]]":
    """Read the board, and say what a person should know about it."""
    from bissl_ray.leaderboard import read_board

    with warnings.catch_warnings(record=True) as damaged:
        warnings.simplefilter("always")
        board = read_board(storage, dataset, sweep, where, sort, top)
    notes = [f"warning: {line.message}" for line in damaged]
    if board.empty:
        notes.append(f"no trial in {storage} yet; start one with: bissl-ray sweep --storage {storage}")
    elif not board.rows:
        # The table's word says more than the column that it is called by.
        told = "'confirmed'" in str(where) or "'control'" in str(where)
        hint = "; what the table calls confirmed is standing = 'confirmed', and control is kind = 'control'"
        notes.append(f"no trial satisfies --where {where!r}{hint if told else ''}")
    return board, notes


def _watch(console: "Console", read: "Callable[[], tuple[Board, list[str]]]", sort: str | None) -> None:
    """Redraw until Ctrl-C, which is how a watch ends: nothing is interrupted by it."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from bissl_ray.leaderboard import table

    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                board, notes = read()
                warned = [Text(note, style="yellow") for note in notes]
                live.update(Group(table(board.rows, board.verdicts, console, sort), *warned), refresh=True)
                time.sleep(_REDRAW_INTERVAL)
    except KeyboardInterrupt:
        return
