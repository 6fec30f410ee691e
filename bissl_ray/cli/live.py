"""A sweep's progress in the terminal, for the verbs that run one."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bissl_ray.leaderboard.live import LiveBoard
    from bissl_ray.search.history import SweepOutcome


@contextmanager
def terminal_view(title: str, *, stderr: bool = False) -> "Iterator[LiveBoard]":
    """A view for the duration of a `with` block; on standard error where the output is for another program."""
    from rich.console import Console

    from bissl_ray.leaderboard.live import LiveBoard

    with LiveBoard(Console(stderr=stderr), title) as board:
        yield board


def storage_flag(storage: str) -> str:
    """The --storage of a command to be pasted; nothing for the default."""
    return "" if storage == "./runs" else f" --storage {shlex.quote(storage)}"


def conclude(outcome: "SweepOutcome", storage: str) -> int:
    """Print the board of a sweep that has ended, or how to go on with one that was interrupted.

    Returns:
        The exit code: 0 done, 1 something failed that a person must see to, 130 interrupted.
    """
    import typer

    from bissl_ray.cli.leaderboard import leaderboard

    place = storage_flag(storage)
    if not outcome.finished:
        typer.echo(
            f"Stopped: {outcome.problem}. Everything reported is saved; mend that, then go on with:"
            if outcome.problem
            else "Interrupted; everything reported is saved. Go on with:"
        )
        typer.echo(f"  bissl-ray resume {outcome.name}{place}")
        return 1 if outcome.problem else 130
    leaderboard(storage=outcome.storage, sweep=outcome.name, top=10)
    typer.echo(f"More: bissl-ray leaderboard{place}, bissl-ray show TRIAL{place}")
    if outcome.problem:
        typer.echo(f"bissl-ray: {outcome.problem}", err=True)
        return 1
    if outcome.completed:
        return 0
    typer.echo(f"No trial ran to its end; the board says why. Look at one with: bissl-ray show t000{place}", err=True)
    return 1
