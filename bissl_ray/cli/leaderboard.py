"""`bissl-ray leaderboard` and `bissl-ray show`: who won, by how much, at what cost; and one trial in full."""

import shlex
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from bissl_ray.addresses import sayable
from bissl_ray.cli import completion
from bissl_ray.cli.flags import takes
from bissl_ray.cli.streams import print_csv, print_json, print_markdown
from bissl_ray.config.options import BoardOptions, ShowOptions
from bissl_ray.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

    from bissl_ray.leaderboard import Board
    from bissl_ray.store.schema import Row

_REDRAW_INTERVAL = 2.0  # seconds
_WARNING: Final = "warning: "
_AROUND_ROWS = 12  # lines of a watched board that are no rows: headings, notes, verdict


Format = Literal["table", "json", "csv", "md", "svg", "html"]
"""How a board is written."""


@takes(BoardOptions)
def leaderboard(
    asked: BoardOptions,
    watch: Annotated[bool, typer.Option("--watch", help="Redraw every two seconds until Ctrl-C.")] = False,
    format: Annotated[Format, typer.Option("--format", "-f", help="How to write it.")] = "table",
    cost: Annotated[
        bool, typer.Option("--cost", help="Also what each sweep has cost, by step and rung. [table, json]")
    ] = False,
    across: Annotated[
        bool, typer.Option("--across", help="Datasets as columns: the first of each, and where their settings differ.")
    ] = False,
) -> None:
    """Rank the trials of all sweeps, and say whether BiSSL beats plain fine-tuning beyond seed noise."""
    end(show_board(asked, watch, format, cost, across))


def show_board(
    asked: BoardOptions, watch: bool = False, format: Format = "table", cost: bool = False, across: bool = False
) -> list[str]:
    """Print a board, as the verb of that name.

    Returns:
        What it said of the storage, for `whole` or `end`.
    """
    from bissl_ray.cli.pictures import recorded, recorder
    from bissl_ray.cli.terminal import Terminal
    from bissl_ray.leaderboard import across_table, as_csv, as_json, as_markdown, costs_table, read_costs, table

    if cost and (watch or format not in ("table", "json")):
        raise BadInputError(
            f"--cost with {'--watch' if watch else f'--format {format}'}: it is written as a table or as JSON, once"
        )
    if across and (watch or cost or asked.columns or format in ("json", "csv", "md")):
        raise BadInputError(
            "--across is written as a table, as svg or as html, once and by itself: leave out --watch, --cost, "
            "--columns and other formats"
        )
    console = Terminal()
    if watch:
        if format != "table" or not console.is_interactive:
            raise BadInputError("--watch redraws a table in a terminal; leave it out to write elsewhere")
        _watch(console, replace(asked, top=min(asked.top, max(1, console.height - _AROUND_ROWS))))
        return []
    board, notes = _read(asked)
    for note in notes:
        typer.echo(note, err=True)
    with damage():  # which the board has named
        costs = read_costs(asked.storage, asked.dataset, asked.sweep) if cost else []
    names = _names(asked)
    if format in ("table", "svg", "html"):
        screen = console if format == "table" else recorder()
        drawn = (
            across_table(board.rows, board.verdicts)
            if across
            else table(board.rows, board.verdicts, screen, asked.sort, names)
        )
        screen.print(drawn)
        if format != "table":
            typer.echo(recorded(screen, format, f"bissl-ray leaderboard · {sayable(asked.storage)}"))
        for each in costs:
            console.print()
            console.print(costs_table(each, console))
    elif format == "json":
        print_json(as_json(_only(board.rows, names), board.verdicts, **({"costs": costs} if cost else {})))
    elif format == "csv":
        print_csv(as_csv(_only(board.rows, names)))
    else:
        print_markdown(as_markdown(board.rows, board.verdicts, names))
    return notes


@takes(ShowOptions)
def show(
    asked: ShowOptions,
    trial: Annotated[
        str,
        typer.Argument(
            help="Name of the trial, as the leaderboard writes it.",
            autocompletion=completion.trials,
        ),
    ],
    command: Annotated[
        bool, typer.Option("--command", help="Print the command that runs it again, and nothing else.")
    ] = False,
) -> None:
    """Show one trial: configuration, curve, diagnostics, why it was proposed, why it stopped, how to run it again."""
    if command:
        show_command(asked, trial)
    else:
        show_trial(asked, trial)


def show_command(asked: ShowOptions, trial: str) -> None:
    """Print the command that runs a trial again (raises BadInputError: it can't be, and why)."""
    from bissl_ray.stages.again import stored_trial

    with damage() as notes:
        again = stored_trial(asked.storage, trial if asked.sweep is None else f"{asked.sweep}/{trial}")
    for note in notes:
        typer.echo(note, err=True)
    typer.echo(_command(asked, again.name))
    end(notes)


def _command(asked: ShowOptions, name: str) -> str:
    return shlex.join(["bissl-ray", "train", "--from-trial", name, "--storage", asked.storage])


def show_trial(asked: ShowOptions, trial: str) -> None:
    """Print one trial, as the verb `show`."""
    from bissl_ray.cli.terminal import Terminal
    from bissl_ray.config.settings import Settings
    from bissl_ray.leaderboard import find_trial, render_trial, verdicts
    from bissl_ray.search.records import began_at
    from bissl_ray.store import read_reports, read_trials, to_rows

    with damage() as notes:
        row, children = find_trial(asked.storage, trial, asked.sweep)
        reports = to_rows(read_reports(asked.storage, row["dataset"], row["sweep"]))
        of_sweep = to_rows(read_trials(asked.storage, row["dataset"], row["sweep"]))
        (verdict,) = verdicts(of_sweep, asked.storage)
    for note in notes:
        typer.echo(note, err=True)
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    own = [report for report in reports if report["trial"] == trial]
    console = Terminal()
    edges = verdict.edges_of(row["parent"] or trial)
    told = [edge.sentence for edge in edges]
    # What another was, whose place it took, is not kept.
    again = None if began_at(trial, row["step"]) else _command(asked, f"{row['sweep']}/{trial}")
    if again is not None and len(again) > console.width:
        again = f"the command is long: bissl-ray show {trial} --command has it"
    console.print(render_trial(row, own, children, defaults, console, told, again, of_sweep))
    end(notes)


def end(notes: Iterable[str]) -> None:
    """End with exit code 1 where something of the storage could not be read: what was shown may lack rows."""
    if not whole(notes):
        raise typer.Exit(1)


def whole(notes: Iterable[str]) -> bool:
    """Whether all of the storage could be read, by what was said of it."""
    return not any(note.startswith(f"{_WARNING}skipped ") for note in notes)


@contextmanager
def damage() -> Iterator[list[str]]:
    """What of a storage could not be read within a `with` block: a line each, there once the block has ended.

    Raises:
        BadInputError: the block's own, with what could not be read, which may be why something was not found.
    """
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as damaged:
        warnings.simplefilter("always")
        try:
            yield notes
        except BadInputError as error:
            if not damaged:
                raise
            told = list(dict.fromkeys(str(line.message) for line in damaged))
            more = f", and {len(told) - 1} more" if len(told) > 1 else ""
            raise BadInputError(f"{error}; {told[0]}{more}") from None
    # A file is read by several, and told of once.
    notes += dict.fromkeys(sayable(f"{_WARNING}{line.message}") for line in damaged)


def _read(asked: BoardOptions) -> "tuple[Board, list[str]]":
    """Read the board, and say what a person should know about it."""
    from bissl_ray.leaderboard import read_board
    from bissl_ray.store.documents import read_sweep_document
    from bissl_ray.store.filesystem import is_there
    from bissl_ray.store.paths import absolute_storage

    where, storage = asked.where, asked.storage
    with damage() as notes:
        board = read_board(
            storage, asked.dataset, asked.sweep, where, asked.sort, asked.top, _names(asked) or (), asked.pareto
        )
    if board.empty:
        if not is_there(storage):
            raise BadInputError(
                f"storage {str(storage)!r}: found no such folder; give the one that the sweep wrote to with --storage, "
                "or start a sweep with `bissl-ray sweep`"
            )
        if asked.sweep is not None:
            read_sweep_document(absolute_storage(storage), asked.sweep)  # refuses a name that there is none of
        notes.append(f"no trial in {storage} yet; start one with: bissl-ray sweep --storage {storage}")
    elif not board.rows:
        # The table's word says more than the column that it is called by.
        told = "'confirmed'" in str(where) or "'control'" in str(where)
        hint = "; what the table calls confirmed is standing = 'confirmed', and control is kind = 'control'"
        notes.append(f"no trial satisfies --where {where!r}{hint if told else ''}")
    return board, notes


def _names(asked: BoardOptions) -> list[str] | None:
    """The columns that were asked for; None: those that say something."""
    if asked.columns is None:
        return None
    names = [name.strip() for name in asked.columns.split(",")]
    if not all(names):
        raise BadInputError(f"--columns {asked.columns!r}: expected names with commas between them, such as trial,gain")
    return list(dict.fromkeys(names))


def _only(rows: "Sequence[Row]", names: "Sequence[str] | None") -> "list[Row]":
    return [{name: row[name] for name in names} for row in rows] if names else list(rows)


def _watch(console: "Console", asked: BoardOptions) -> None:
    """Redraw until Ctrl-C, which is how a watch ends: nothing is interrupted by it."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from bissl_ray.leaderboard import table

    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                board, notes = _read(asked)
                warned = [Text(note, style="yellow") for note in notes]
                drawn = table(board.rows, board.verdicts, console, asked.sort, _names(asked))
                live.update(Group(drawn, *warned), refresh=True)
                time.sleep(_REDRAW_INTERVAL)
    except KeyboardInterrupt:
        return
