"""`bissl-ray pretrain`: the first stage."""

from bissl_ray.cli.flags import takes
from bissl_ray.config.options import StageOptions

_OF_OTHERS = {"start", "start_head", "allow_partial", "pretext_dataset", "pretext_data_dir"}


@takes(StageOptions, leave_out=_OF_OTHERS)
def pretrain(asked: StageOptions) -> None:
    """Pretrain a backbone on unlabelled images.

    From fresh weights, on the dataset's pretext pool, by the pretext task that the settings name.
    """
    from bissl_ray.cli.stage_view import conclude, run_to_end
    from bissl_ray.stages.prepare import prepare_stage

    outcome = run_to_end(asked, *prepare_stage("pretrain", asked))
    conclude(outcome, asked, "train")
