"""`bissl-ray evaluate`: what a model or its backbone is worth."""

import json as encoder
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from bissl_ray.cli.filling import Filler
from bissl_ray.cli.flags import takes
from bissl_ray.cli.stage_filling import fill_stage
from bissl_ray.cli.stage_view import run_to_end
from bissl_ray.config.options import StageOptions

if TYPE_CHECKING:
    from bissl_ray.config.requests import Way
    from bissl_ray.stages.run import StageOutcome


@takes(StageOptions, leave_out={"start_head", "pretext_dataset", "pretext_data_dir"})
def evaluate(
    asked: StageOptions,
    filler: Filler,
    split: Annotated[Literal["validation", "test"], typer.Option(help="What to evaluate on.")] = "validation",
    knn: Annotated[bool, typer.Option("--knn", help="Judge the frozen backbone by nearest neighbours.")] = False,
    linear_probe: Annotated[
        bool, typer.Option("--linear-probe", help="Judge the frozen backbone by the best linear head on it.")
    ] = False,
    pictures: Annotated[
        Path | None,
        typer.Option(help="Draw a few images with what the model finds beside the truth, into this folder."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Score a model, or its frozen backbone.

    Every image of the split counts once, for any number of workers. Settings are those that the checkpoint was made
    with, unless a space is given.
    """
    from bissl_ray.stages.pictures import check_pictures, fetch_pictures
    from bissl_ray.stages.prepare import prepare_stage

    frozen: tuple[Way, ...] = (*(("knn",) if knn else ()), *(("linear_probe",) if linear_probe else ()))
    asked, said = fill_stage("evaluate", asked, filler)
    drawn = 0 if pictures is None else _PICTURES
    prepared = prepare_stage("evaluate", asked, split=split, ways=frozen or ("score",), pictures=drawn)
    if pictures is not None:
        check_pictures(pictures, prepared[0])
    outcome = run_to_end(asked, *prepared, said, to_stderr=json)
    show_scores(outcome, json)
    if pictures is not None:
        typer.echo(fetch_pictures(outcome, pictures), err=json)


_PICTURES: Final = 12
_WAYS: Final = {"model": "model", "linear_probe": "linear probe"}


def show_scores(outcome: "StageOutcome", as_json: bool) -> None:
    """Print what an evaluation found.

    Args:
        outcome: of a finished evaluation.
        as_json: every digit, for a program, instead of a table.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from bissl_ray.cli.terminal import Terminal
    from bissl_ray.stages.figures import heading, rows_by_class, written

    request, metrics = outcome.request, outcome.result["metrics"]
    if as_json:
        facts = {
            "name": request.name,
            "dataset": request.dataset,
            "split": request.split,
            "checkpoint": request.start.file if request.start else None,
        }
        found = {name: outcome.result[name] for name in ("class_names", "by_class") if name in outcome.result}
        typer.echo(encoder.dumps({**facts, "metrics": metrics, **found}, indent=2))
        return
    figures = list(dict.fromkeys(name for scores in metrics.values() for name in scores))
    table = Table("", box=SIMPLE_HEAD, title=f"{request.dataset}, {request.split} split", title_justify="left")
    for name in figures:
        table.add_column(heading(name), justify="right")
    for way, scores in metrics.items():
        cells = [written(name, scores.get(name)) for name in figures]
        table.add_row(_WAYS.get(way) or f"{way.removeprefix('knn')} nearest neighbours", *cells)
    Terminal().print(table)
    if outcome.result.get("by_class"):
        headings, rows = rows_by_class(outcome.result["class_names"], outcome.result["by_class"])
        of_classes = Table(box=SIMPLE_HEAD)
        for column, words in enumerate(headings):
            of_classes.add_column(words, justify="right" if column else "left")
        for row in rows:
            of_classes.add_row(*row)
        Terminal().print(of_classes)
    if "linear_probe" in metrics and request.split == "validation":
        typer.echo("The linear probe's penalty was chosen on this split, which flatters it.")
    if request.split == "test":
        folder = f"{outcome.storage}/stages/{request.name}"
        typer.echo(f"The test split was looked at; {folder}/stage.json says so. Choose nothing by these figures.")
