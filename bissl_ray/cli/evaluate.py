"""`bissl-ray evaluate`: what a model or its backbone is worth."""

import json
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bissl_ray.cli.stage_flags import AllowPartial, Start, with_stage_flags
from bissl_ray.data.spec import METRIC_TITLES

if TYPE_CHECKING:
    from bissl_ray.stages.prepare import StageFlags
    from bissl_ray.stages.request import Way

if TYPE_CHECKING:
    from bissl_ray.stages.outcome import StageOutcome


class Split(StrEnum):
    """What is evaluated on."""

    validation = "validation"
    test = "test"


@with_stage_flags
def evaluate(
    flags: "StageFlags",
    start: Start = None,
    allow_partial: AllowPartial = False,
    split: Annotated[Split, typer.Option(help="What to evaluate on.")] = Split.validation,
    knn: Annotated[bool, typer.Option("--knn", help="Judge the frozen backbone by nearest neighbours.")] = False,
    linear_probe: Annotated[
        bool, typer.Option("--linear-probe", help="Judge the frozen backbone by the best linear head on it.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Score a model, or its frozen backbone.

    Every image of the split counts once, for any number of workers. Settings are those that the checkpoint was made
    with, unless a space is given.
    """
    from bissl_ray.cli.stage_view import run_to_end
    from bissl_ray.stages.prepare import prepare_stage

    frozen: tuple[Way, ...] = (*(("knn",) if knn else ()), *(("linear_probe",) if linear_probe else ()))
    flags = replace(flags, start=start, allow_partial=allow_partial)
    prepared = prepare_stage("evaluate", flags, split=split.value, ways=frozen or ("score",))
    show_scores(run_to_end(flags, *prepared, to_stderr=json), json)


_SHARES: Final = {**METRIC_TITLES, "top5": "top-5", "map": "mAP"}
"""Figures that are written in per cent."""
_WAYS: Final = {"model": "model", "linear_probe": "linear probe"}


def show_scores(outcome: "StageOutcome", as_json: bool) -> None:
    """Print what an evaluation found.

    Args:
        outcome: of a finished evaluation.
        as_json: every digit, for a program, instead of a table.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from bissl_ray.leaderboard.numbers import percent

    request, metrics = outcome.request, outcome.result["metrics"]
    if as_json:
        facts = {"name": request.name, "dataset": request.dataset, "split": request.split, "checkpoint": request.start}
        typer.echo(json.dumps({**facts, "metrics": metrics}, indent=2))
        return
    figures = list(dict.fromkeys(name for scores in metrics.values() for name in scores))
    table = Table(f"{request.dataset}, {request.split} split", box=SIMPLE_HEAD)
    for name in figures:
        table.add_column(f"{_SHARES[name]} %" if name in _SHARES else name, justify="right")
    for way, scores in metrics.items():
        cells = [(percent if name in _SHARES else _plain)(scores.get(name)) for name in figures]
        table.add_row(_WAYS.get(way) or f"{way.removeprefix('knn')} nearest neighbours", *cells)
    Console().print(table)
    if "linear_probe" in metrics and request.split == "validation":
        typer.echo("The linear probe's penalty was chosen on this split, which flatters it.")
    if request.split == "test":
        folder = f"{outcome.storage}/stages/{request.name}"
        typer.echo(f"The test split was looked at; {folder}/stage.json says so. Choose nothing by these figures.")


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
