"""Linear warm-up of the downstream head: the backbone stands still (paper, section on the pipeline)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from bissl_ray.progress import Step
from bissl_ray.training.stages.supervised import SupervisedSteps
from bissl_ray.training.trial import Trial


def warm_up_head(trial: Trial, saved: Any) -> None:
    """Train φ_D on what the lower backbone gives in evaluation mode."""
    settings, models = trial.settings, trial.models
    per_epoch = trial.data.labelled_steps(settings.upper_batch)
    steps = settings.head_epochs * per_epoch
    models.lower.eval()
    models.downstream.train()

    def loss(batch: Any) -> Tensor:
        with trial.autocast():
            return models.downstream.loss(models.lower, batch)

    run = SupervisedSteps(
        list(models.downstream.parameters()),
        loss,
        lr=settings.head_lr,
        momentum=settings.upper_momentum,
        weight_decay=0.0,
        clip_norm=settings.clip_norm,
        total_steps=steps,
    )
    if saved is not None:
        run.load_state_dict(saved)

    def between() -> None:
        trial.advance(Step("head", run.step, steps, "epoch", per_epoch), run.state_dict, run.last_loss)

    if steps:
        with trial.data.labelled("head", settings.upper_batch, run.step) as batches, _frozen(models.lower):
            run.run_until(steps, batches, between)


@contextmanager
def _frozen(backbone: nn.Module) -> Iterator[None]:
    """Nothing is recorded of what the backbone computes, for the length of a `with` block."""
    trained = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
