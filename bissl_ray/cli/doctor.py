"""`bissl-ray doctor`: whether all that a storage holds is as it was written, and what can be saved of what is not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bissl_ray.cli.flags import takes
from bissl_ray.cli.leaderboard import Format
from bissl_ray.cli.streams import print_csv, print_json
from bissl_ray.config.options import DoctorOptions

if TYPE_CHECKING:
    from bissl_ray.preflight.doctor.findings import Checkup

_STYLES: Final = {"damaged": "bold red", "left over": "yellow", "note": "dim"}
_TOLD: Final = ("state", "place", "found", "kept")


@takes(DoctorOptions)
def doctor(
    asked: DoctorOptions,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove what was left over, of sweeps and stages that nobody runs.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Open no checkpoint.")] = False,
    format: Annotated[Format, typer.Option(help="How to write it.")] = "table",
) -> None:
    """Check a storage: results, documents, claims, checkpoints, what contradicts itself, what was left over.

    Exit code 1: something is damaged; what can be saved of it is said.
    """
    from bissl_ray.leaderboard.render import as_csv, dumped
    from bissl_ray.preflight.doctor.check import check_storage
    from bissl_ray.store.paths import absolute_storage

    with _progress() as opened:
        checkup = check_storage(absolute_storage(asked.storage), clean, quick, opened)
    rows = [asdict(finding) for finding in checkup.findings]
    if format == "json":
        print_json(dumped({"storage": asked.storage, "checked": checkup.checked, "findings": rows}))
    elif format == "csv":
        print_csv(as_csv(rows))
    elif format == "md":
        typer.echo(_markdown(checkup))
    else:
        _show(checkup)
    if checkup.damaged:
        raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar for the checkpoints, on standard error, where that is a screen."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from bissl_ray.cli.terminal import Terminal

    console = Terminal(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_interactive) as bar:
        task = bar.add_task("opening checkpoints", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(checkup: "Checkup") -> None:
    from rich.table import Table
    from rich.text import Text

    from bissl_ray.cli.terminal import Terminal

    console = Terminal()
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for finding in checkup.findings:
        state = "removed" if finding.removed else str(finding.state)
        place = f"rows of {finding.place}" if finding.what == "rows" else finding.place
        grid.add_row(Text(state, style=_STYLES[finding.state]), Text(place, style="bold"))
        for line in filter(None, (finding.found, *finding.kept.split("; "))):
            grid.add_row("", Text(line))
    if checkup.findings:
        console.print(grid)
        console.print()
    console.print(_summary(checkup), highlight=False)


def _summary(checkup: "Checkup") -> str:
    from bissl_ray.preflight.doctor.findings import State

    what = ", ".join(f"{count:,} {name}" for name, count in checkup.checked.items() if count)
    damaged = sum(1 for _ in checkup.of(State.DAMAGED))
    left = sum(not finding.removed for finding in checkup.of(State.LEFT_OVER))
    removed = sum(finding.removed for finding in checkup.findings)
    said = [f"{damaged} damaged" if damaged else "nothing is damaged"]
    said += [f"{left} left over (--clean removes what nobody holds)"] if left else []
    said += [f"{removed} removed"] if removed else []
    return f"Checked {what or 'a storage with nothing of ours in it'}: {', '.join(said)}."


def _markdown(checkup: "Checkup") -> str:
    from functools import partial

    from bissl_ray.leaderboard.columns import Column
    from bissl_ray.leaderboard.render import markdown_table

    rows = [asdict(finding) for finding in checkup.findings]
    columns = [Column(name, 0, partial(_cell, name), number=False) for name in _TOLD]
    return "\n\n".join([*([markdown_table(rows, columns)] if rows else []), _summary(checkup)])


def _cell(name: str, row: dict[str, object]) -> str:
    return str(row[name])
