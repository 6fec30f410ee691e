"""`bissl-ray finetune`: the last stage of training."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from bissl_ray.cli.stage_flags import AllowPartial, Start, with_stage_flags

if TYPE_CHECKING:
    from bissl_ray.stages.prepare import StageFlags


@with_stage_flags
def finetune(
    flags: "StageFlags",
    start: Start = None,
    allow_partial: AllowPartial = False,
    control_budget: Annotated[
        bool,
        typer.Option("--control-budget", help="As many labelled images more as BiSSL's upper level sees."),
    ] = False,
) -> None:
    """Fine-tune a backbone on labelled images.

    One that BiSSL aligned brings its head along; beside any other, a fresh head is warmed up first.
    """
    from bissl_ray.cli.stage_view import conclude, run_to_end
    from bissl_ray.stages.prepare import prepare_stage

    flags = replace(flags, start=start, allow_partial=allow_partial)
    outcome = run_to_end(flags, *prepare_stage("finetune", flags, control_budget=control_budget))
    conclude(outcome, flags, "evaluate")
