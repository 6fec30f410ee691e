"""Linear warm-up of the downstream head: the backbone stands still (paper, section on the pipeline)."""

from typing import Any

import torch
from torch import Tensor

from bissl_ray.training.stages.supervised import SupervisedSteps
from bissl_ray.training.trial import Trial
from bissl_ray.training.watch import Advance


def warm_up_head(trial: Trial, saved: Any) -> None:
    """Train φ_D on the features of the lower backbone in evaluation mode."""
    settings, models = trial.settings, trial.models
    per_epoch = trial.labelled_steps(settings.upper_batch)
    steps = settings.head_epochs * per_epoch
    models.lower.eval()
    models.downstream.train()

    def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        with trial.autocast():
            with torch.no_grad():
                features = models.lower(images)
            return models.downstream.loss_of_scores(models.downstream(features), labels).mean()

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
        trial.advance(Advance("head", run.step, steps, "epoch", per_epoch), run.state_dict, run.last_loss)

    if steps:
        with trial.labelled("head", settings.upper_batch, run.step) as batches:
            run.run_until(steps, batches, between)
