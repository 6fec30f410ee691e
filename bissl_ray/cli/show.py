"""`bissl-ray show`: one trial in full."""

import warnings
from typing import Annotated

import typer


def show(
    trial: Annotated[str, typer.Argument(help="Name of the trial, as the leaderboard writes it.")],
    sweep: Annotated[str | None, typer.Option(help="The sweep it belongs to, if several have one.")] = None,
    storage: Annotated[str, typer.Option(help="Folder or URI that holds the results.")] = "./runs",
) -> None:
    """Show one trial: configuration, curve, diagnostics, why it was proposed, why it stopped."""
    from rich.console import Console

    from bissl_ray.config.settings import Settings
    from bissl_ray.leaderboard import find_trial, render_trial
    from bissl_ray.store import read_reports, to_rows

    with warnings.catch_warnings(record=True) as damaged:
        warnings.simplefilter("always")
        row, children = find_trial(storage, trial, sweep)
        reports = to_rows(read_reports(storage, row["dataset"], row["sweep"]))
    for line in damaged:
        typer.echo(f"warning: {line.message}", err=True)
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    own = [report for report in reports if report["trial"] == trial]
    console = Console()
    console.print(render_trial(row, own, children, defaults, console))
