"""`bissl-ray export`: a sweep's winner as a file that torchvision or timm loads, or its configuration."""

import warnings
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bissl_ray.errors import BadInputError

if TYPE_CHECKING:
    from bissl_ray.export import ExportedRun
    from bissl_ray.export.weights import Keys


class FileFormat(StrEnum):
    """How the model's file is laid out."""

    safetensors = "safetensors"
    pth = "pth"


class KeyNames(StrEnum):
    """Whose parameter names the file has."""

    torchvision = "torchvision"
    timm = "timm"


def export(
    trial: Annotated[
        str | None,
        typer.Argument(help="Name of a trial, or a file that a stage wrote. [the winner's best confirmation run]"),
    ] = None,
    sweep: Annotated[str | None, typer.Option(help="The sweep, if there are several.")] = None,
    storage: Annotated[str, typer.Option(help="Folder or URI that holds the results.")] = "./runs",
    format: Annotated[FileFormat | None, typer.Option(help="Of the file. [as --out ends, else safetensors]")] = None,
    keys: Annotated[KeyNames | None, typer.Option(help="Parameter names. [torchvision; timm for timm/NAME]")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; the card lies beside it, as .md. [TRIAL]")] = None,
    head: Annotated[bool, typer.Option("--head/--no-head", help="Include the classification layer, if any.")] = True,
    config: Annotated[
        bool, typer.Option("--config", help="Write the configuration instead, as a search space in YAML.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
) -> None:
    """Write a trained model for torchvision or timm, with a model card; or its configuration."""
    if config and (format is not None or keys is not None or not head):
        raise BadInputError("--config writes settings, no model: leave --format, --keys and --no-head out")
    file = trial if trial is not None and trial.endswith(".pt") else None
    if config:
        _write_configuration(storage, trial, sweep, file, out, force)
        return
    run = None if file is not None else _choose(storage, trial, sweep)
    suffixes = {f".{each.value}": each for each in FileFormat}
    chosen = format or suffixes.get(out.suffix if out is not None else "", FileFormat.safetensors)
    stem = Path(file).stem if file is not None else str(run.row["trial"]) if run is not None else ""
    path = out if out is not None else Path(f"{stem}.{chosen.value}")
    names: Keys | None = None if keys is None else keys.value

    from bissl_ray.export import Target, document_beside, export_file, export_model, read_file

    target = Target(path, chosen.value, names, head, force)
    if run is not None:
        typer.echo(export_model(run, storage, target))
    elif file is not None:
        content = read_file(file)
        typer.echo(export_file(content, target, document_beside(file, content)))


def _choose(storage: str, trial: str | None, sweep: str | None) -> "ExportedRun":
    """Find the run, and say what of the storage could not be read."""
    from bissl_ray.export import choose_run

    with warnings.catch_warnings(record=True) as damaged:
        warnings.simplefilter("always")
        run = choose_run(storage, trial, sweep)
    for line in damaged:
        typer.echo(f"warning: {line.message}", err=True)
    return run


def _write_configuration(
    storage: str, trial: str | None, sweep: str | None, file: str | None, out: Path | None, force: bool
) -> None:
    from bissl_ray.export import configuration_of_file, configuration_yaml, read_file, write_out

    if file is not None:
        text, what = configuration_of_file(read_file(file).metadata), file
    else:
        run = _choose(storage, trial, sweep)
        text, what = configuration_yaml(run.row), f"{run.row['trial']} ({run.why})"
    if out is None:
        typer.echo(text, nl=False)
        return
    if out.is_dir() or (out.exists() and not force):
        raise BadInputError(f"{out} is there already; give another --out, or --force to replace it")
    if not out.parent.is_dir():
        raise BadInputError(f"--out {out}: there is no folder {out.parent}; make it, or give another path")
    write_out(out, text.encode())
    typer.echo(f"{out}: configuration of {what}")
