"""`bissl-ray evaluate`: what a model or its backbone is worth."""

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from bissl_ray.cli.stage_flags import AllowPartial, Start, with_stage_flags

if TYPE_CHECKING:
    from bissl_ray.stages.prepare import StageFlags
    from bissl_ray.stages.request import Way


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
    from bissl_ray.cli.scores import show_scores
    from bissl_ray.cli.stage_view import run_to_end
    from bissl_ray.stages.prepare import prepare_stage

    frozen: tuple[Way, ...] = (*(("knn",) if knn else ()), *(("linear_probe",) if linear_probe else ()))
    flags = replace(flags, start=start, allow_partial=allow_partial)
    prepared = prepare_stage("evaluate", flags, split=split.value, ways=frozen or ("score",))
    show_scores(run_to_end(flags, *prepared, to_stderr=json), json)
