"""`bissl-ray finetune`: the last stage of training."""

from typing import Annotated

import typer

from bissl_ray.cli.flags import takes
from bissl_ray.config.options import StageOptions


@takes(StageOptions, leave_out={"start_head", "pretext_dataset", "pretext_data_dir"})
def finetune(
    asked: StageOptions,
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

    outcome = run_to_end(asked, *prepare_stage("finetune", asked, control_budget=control_budget))
    conclude(outcome, asked, "evaluate")
