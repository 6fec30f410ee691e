"""`bissl-ray export`: a sweep's winner as a file that torchvision or timm loads, or its configuration."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bissl_ray.addresses import without_secrets
from bissl_ray.cli import completion
from bissl_ray.cli.flags import takes
from bissl_ray.cli.leaderboard import damage, end
from bissl_ray.config.options import ExportOptions, ModelFormat
from bissl_ray.errors import BadInputError

if TYPE_CHECKING:
    from bissl_ray.export import ExportedRun


@takes(ExportOptions)
def export(
    asked: ExportOptions,
    trial: Annotated[
        str | None,
        typer.Argument(
            help="Name of a trial, or a file that a stage wrote. [the winner's best confirmation run]",
            autocompletion=completion.trials,
        ),
    ] = None,
) -> None:
    """Write a trained model for torchvision or timm, with a model card; or its configuration."""
    if asked.optuna is not None:
        if trial is not None or asked.config or asked.out or asked.format or asked.keys or not asked.head:
            raise BadInputError("--optuna writes what a sweep has explored: leave all but --sweep and --force out")
        _write_study(asked, asked.optuna)
        return
    file = trial if trial is not None and trial.endswith(".pt") else None
    if asked.config:
        if asked.format is not None or asked.keys is not None or not asked.head:
            raise BadInputError("--config writes settings, no model: leave --format, --keys and --no-head out")
        _write_configuration(asked, trial, file)
        return
    run, notes = (None, []) if file is not None else _choose(asked, trial)
    out = asked.out
    stem = Path(str(file)).stem if run is None else run.row["trial"]

    from bissl_ray.export import Target, export_file, export_model
    from bissl_ray.export.write import ending

    format: ModelFormat = asked.format or ("pth" if out is not None and ending(out) == ".pth" else "safetensors")
    target = Target(out or f"{stem}.{format}", format, asked.keys, asked.head, asked.force)
    typer.echo(export_file(str(file), target) if run is None else export_model(run, asked.storage, target))
    end(notes)


def _write_study(asked: ExportOptions, url: str) -> None:
    from bissl_ray.export.study import export_study

    with damage() as notes:
        line = export_study(asked.storage, asked.sweep, url, asked.force)
    for note in notes:
        typer.echo(note, err=True)
    typer.echo(line)
    end(notes)


def _choose(asked: ExportOptions, trial: str | None) -> tuple["ExportedRun", list[str]]:
    """Find the run, and say what of the storage could not be read: lines that `end` ends with."""
    from bissl_ray.export import choose_run

    with damage() as notes:
        run = choose_run(asked.storage, trial, asked.sweep)
    for note in notes:
        typer.echo(note, err=True)
    return run, notes


def _write_configuration(asked: ExportOptions, trial: str | None, file: str | None) -> None:
    """Write the settings of a run as a space that runs them as one trial; what is younger than it has its default."""
    from bissl_ray.config.columns import settings_of_row
    from bissl_ray.config.settings import of_any_release
    from bissl_ray.export import read_file, write_out
    from bissl_ray.export.write import check_places
    from bissl_ray.leaderboard.trial import space_of

    notes: list[str] = []
    if file is not None:
        made = read_file(file).metadata
        dataset, settings, what = made["dataset"], of_any_release(made["settings"]), without_secrets(file)
    else:
        run, notes = _choose(asked, trial)
        dataset, settings = run.row["dataset"], settings_of_row(run.row)
        what = f"{run.row['trial']} ({run.why})"
    text, out = space_of(dataset, settings) + "\n", asked.out
    if out is None:
        typer.echo(text, nl=False)
    else:
        check_places(out, force=asked.force)
        write_out(out, text.encode())
        typer.echo(f"{out}: configuration of {what}")
    end(notes)
