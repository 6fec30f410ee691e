"""`bissl-ray pretrain`: the first stage."""

from typing import TYPE_CHECKING

from bissl_ray.cli.stage_flags import with_stage_flags

if TYPE_CHECKING:
    from bissl_ray.stages.prepare import StageFlags


@with_stage_flags
def pretrain(flags: "StageFlags") -> None:
    """Pretrain a backbone on unlabelled images.

    From fresh weights, on the dataset's pretext pool, by the pretext task that the settings name.
    """
    from bissl_ray.cli.stage_view import conclude, run_to_end
    from bissl_ray.stages.prepare import prepare_stage

    outcome = run_to_end(flags, *prepare_stage("pretrain", flags))
    conclude(outcome, flags, "train")
