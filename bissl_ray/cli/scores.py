"""The figures of an evaluation, as a table or as JSON."""

import json
from typing import TYPE_CHECKING, Final

import typer

from bissl_ray.data.spec import METRIC_TITLES

if TYPE_CHECKING:
    from bissl_ray.stages.outcome import StageOutcome

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
