"""`bissl-ray watch`: the view of a sweep that another process runs, from any machine that reaches its storage."""

import threading
from typing import Annotated

import typer

from bissl_ray.cli.flags import takes
from bissl_ray.cli.sweep import INTERRUPTED, conclude, storage_flag, terminal_view
from bissl_ray.config.options import WatchOptions


@takes(WatchOptions)
def watch(
    asked: WatchOptions,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep's name.")],
) -> None:
    """Watch a sweep that runs elsewhere, by its storage alone, until it ends; Ctrl-C leaves and touches nothing."""
    from bissl_ray.sweep.watching import watch_sweep

    left = threading.Event()
    try:
        with terminal_view(f"bissl-ray watch {name}", leave=left.set) as view:
            outcome = watch_sweep(asked.storage, name, view, asked.every, left)
    except KeyboardInterrupt:  # how a watch is left: nothing is interrupted by it
        return
    if outcome is None:
        return
    if outcome.finished:
        raise typer.Exit(conclude(outcome, asked.storage))
    typer.echo(f"{name}: interrupted, go on with `bissl-ray resume {name}{storage_flag(asked.storage)}`")
    raise typer.Exit(INTERRUPTED)
