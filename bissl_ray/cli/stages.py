"""`bissl-ray pretrain`, `train` and `finetune`: the stages of training, each by itself."""

from typing import Annotated

import typer

from bissl_ray.cli.filling import Filler
from bissl_ray.cli.flags import takes
from bissl_ray.cli.stage_filling import fill_stage
from bissl_ray.cli.stage_view import conclude, run_to_end
from bissl_ray.config.options import StageOptions


@takes(StageOptions, leave_out={"start", "start_head", "allow_partial", "pretext_dataset", "pretext_data_dir"})
def pretrain(asked: StageOptions, filler: Filler) -> None:
    """Pretrain a backbone on unlabelled images.

    From fresh weights, on the dataset's pretext pool, by the pretext task that the settings name.
    """
    from bissl_ray.stages.prepare import prepare_stage

    asked, said = fill_stage("pretrain", asked, filler)
    conclude(run_to_end(asked, *prepare_stage("pretrain", asked), said), asked, "train")


@takes(StageOptions)
def train(asked: StageOptions, filler: Filler) -> None:
    """Align a pretrained backbone by BiSSL; or, with --from-trial and no --start, run a sweep's trial again.

    First the downstream head is warmed up on the frozen backbone, then both levels take turns. A trial is run again
    from where it started, with its seed and its stages; exit code 1: it came to something else than is stored.
    """
    from bissl_ray.stages.prepare import prepare_stage

    asked, said = fill_stage("train", asked, filler)
    outcome = run_to_end(asked, *prepare_stage("train", asked), said)
    conclude(outcome, asked, "finetune")
    if outcome.unlike_stored:
        raise typer.Exit(1)


@takes(StageOptions, leave_out={"start_head", "pretext_dataset", "pretext_data_dir"})
def finetune(
    asked: StageOptions,
    filler: Filler,
    control_budget: Annotated[
        bool,
        typer.Option("--control-budget", help="As many labelled images more as BiSSL's upper level sees."),
    ] = False,
) -> None:
    """Fine-tune a backbone on labelled images.

    One that BiSSL aligned brings its head along; beside any other, a fresh head is warmed up first.
    """
    from bissl_ray.stages.prepare import prepare_stage

    asked, said = fill_stage("finetune", asked, filler)
    prepared = prepare_stage("finetune", asked, control_budget=control_budget)
    conclude(run_to_end(asked, *prepared, said), asked, "evaluate")
