"""`bissl-ray train`: BiSSL itself."""

from bissl_ray.cli.flags import takes
from bissl_ray.config.options import StageOptions


@takes(StageOptions)
def train(asked: StageOptions) -> None:
    """Align a pretrained backbone by BiSSL.

    First the downstream head is warmed up on the frozen backbone, then both levels take turns.
    """
    from bissl_ray.cli.stage_view import conclude, run_to_end
    from bissl_ray.stages.prepare import prepare_stage

    outcome = run_to_end(asked, *prepare_stage("train", asked))
    conclude(outcome, asked, "finetune")
