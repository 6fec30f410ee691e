"""Linear warm-up of the downstream head: the backbone stands still (paper, section on the pipeline)."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch import nn

from bissl_ray.progress import Step
from bissl_ray.training.stages.steps import StageSteps, StepsState, plain_sgd
from bissl_ray.training.trial import Trial


def warm_up_head(trial: Trial, saved: StepsState | None) -> None:
    """Train φ_D on what the lower backbone gives in evaluation mode."""
    settings, models = trial.settings, trial.models
    per_epoch = trial.data.labelled_steps(settings.upper_batch)
    steps = settings.head_epochs * per_epoch
    if not steps:
        return
    models.lower.eval()
    models.downstream.train()
    parameters = list(models.downstream.parameters())
    stepper = plain_sgd(
        parameters, steps, settings.clip_norm, lr=settings.head_lr, momentum=settings.upper_momentum, weight_decay=0.0
    )
    length = Step("head", 0, steps, "epoch", per_epoch)
    run = StageSteps(trial, length, partial(trial.downstream_loss, models.lower), stepper)
    run.go_on(saved)
    with trial.data.labelled("head", settings.upper_batch, run.step) as batches, frozen(models.lower):
        run.run(batches, [steps], report=lambda _: None)


@contextmanager
def frozen(backbone: nn.Module) -> Iterator[None]:
    """Nothing is recorded of what the backbone computes, for the length of a `with` block."""
    trained = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
