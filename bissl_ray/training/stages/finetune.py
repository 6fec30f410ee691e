"""Fine-tuning: backbone and head together, on the labelled images."""

from typing import Any

from torch import Tensor

from bissl_ray.progress import Step
from bissl_ray.training.evaluation.statistics import average_statistics
from bissl_ray.training.stages.supervised import SupervisedSteps
from bissl_ray.training.trial import Trial

_REPORTS = 10
"""Reports of one fine-tuning run, its last step among them; each scores the validation split."""


def finetune(trial: Trial, saved: Any) -> None:
    """Train θ and φ_D; afterwards the "lower" backbone is the fine-tuned one.

    The objective is that of the last step: choosing the best of many looks would flatter every run, and the
    longer ones most.
    """
    settings, models = trial.settings, trial.models
    per_epoch = trial.data.labelled_steps(settings.finetune_batch)
    steps = settings.finetune_epochs * per_epoch
    if trial.order.with_upper_budget:
        images = settings.alternations * settings.upper_steps * trial.data.labelled_batch(settings.upper_batch)
        steps += -(-images // trial.data.labelled_batch(settings.finetune_batch))
    models.lower.train()
    models.downstream.train()

    def loss(batch: Any) -> Tensor:
        with trial.autocast():
            return models.downstream.loss(models.lower, batch)

    run = SupervisedSteps(
        [*models.lower.parameters(), *models.downstream.parameters()],
        loss,
        lr=settings.finetune_lr,
        momentum=settings.finetune_momentum,
        weight_decay=settings.finetune_weight_decay,
        clip_norm=settings.clip_norm,
        total_steps=steps,
    )
    if saved is not None:
        run.load_state_dict(saved)

    def between() -> None:
        trial.advance(Step("finetune", run.step, steps, "epoch", per_epoch), run.state_dict, run.last_loss)

    with trial.data.labelled("finetune", settings.finetune_batch, run.step) as batches:
        for mark in _marks(steps):
            if mark <= run.step and steps:
                continue
            mean = run.run_until(mark, batches, between)
            row = {"stage": "finetune", "epoch": -(-run.step // per_epoch), "train_loss": mean}
            average_statistics(models.lower, models.downstream)
            trial.account.totals["objective"] = trial.score("lower")
            trial.account.report({**row, "objective": trial.account.totals["objective"]})
            if run.step < steps:
                between()
    if trial.order.keep_models:
        trial.save_models("finetuned", ("downstream",))


def _marks(steps: int) -> list[int]:
    """After which steps to report: evenly spread, the last step included, none twice."""
    return sorted({steps * k // _REPORTS for k in range(1, _REPORTS + 1)} - {0}) or [0]
