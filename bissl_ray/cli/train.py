"""`bissl-ray train`: BiSSL itself."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from bissl_ray.cli.stage_flags import AllowPartial, Start, with_stage_flags

if TYPE_CHECKING:
    from bissl_ray.stages.prepare import StageFlags


@with_stage_flags
def train(
    flags: "StageFlags",
    start: Start = None,
    start_head: Annotated[
        str | None,
        typer.Option(
            "--start-head",
            "--pretrained-head",
            help="Its pretext head, projector.* and predictor.*. [in it, or beside it]",
        ),
    ] = None,
    allow_partial: AllowPartial = False,
    pretext_dataset: Annotated[
        str | None, typer.Option(help="Whose images the lower level sees, such as imagenet. [the dataset's own]")
    ] = None,
    pretext_data_dir: Annotated[str | None, typer.Option(help="Folder of the pretext's dataset. [--data-dir]")] = None,
) -> None:
    """Align a pretrained backbone by BiSSL.

    First the downstream head is warmed up on the frozen backbone, then both levels take turns.
    """
    from bissl_ray.cli.stage_view import conclude, run_to_end
    from bissl_ray.stages.prepare import prepare_stage

    flags = replace(
        flags,
        start=start,
        start_head=start_head,
        allow_partial=allow_partial,
        pretext_dataset=pretext_dataset,
        pretext_data_dir=pretext_data_dir,
    )
    outcome = run_to_end(flags, *prepare_stage("train", flags))
    conclude(outcome, flags, "finetune")
