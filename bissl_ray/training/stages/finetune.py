"""Fine-tuning: backbone and head together, on the labelled images."""

from functools import partial

from bissl_ray.progress import Step
from bissl_ray.training.evaluation.statistics import average_statistics
from bissl_ray.training.stages.steps import StageSteps, StepsState, plain_sgd
from bissl_ray.training.trial import Trial

_REPORTS = 10
"""Reports of one fine-tuning run, its last step among them; each scores the validation split."""


def finetune(trial: Trial, saved: StepsState | None) -> None:
    """Train θ and φ_D; afterwards the "lower" backbone is the fine-tuned one.

    The objective is that of the last step: choosing the best of many looks would flatter every run, and the
    longer ones most.
    """
    settings, models = trial.settings, trial.models
    steps = settings.finetune_epochs * trial.data.labelled_steps(settings.finetune_batch)
    if trial.order.with_upper_budget:
        images = settings.alternations * settings.upper_steps * trial.data.labelled_batch(settings.upper_batch)
        steps += -(-images // trial.data.labelled_batch(settings.finetune_batch))
    models.lower.train()
    models.downstream.train()
    run = fine_tuning(trial, steps)
    run.go_on(saved)

    def report(loss: float) -> None:
        average_statistics(models.lower, models.downstream)
        objective = trial.account.totals["objective"] = trial.score("lower")
        trial.account.report({"stage": "finetune", "epoch": run.epoch, "train_loss": loss, "objective": objective})

    with trial.data.labelled("finetune", settings.finetune_batch, run.step) as batches:
        run.run(batches, _marks(steps), report)
    if trial.order.keep_models:
        trial.save_models("finetuned", ("downstream",))


def fine_tuning(trial: Trial, steps: int) -> StageSteps:
    """So many steps of `finetune`, at their beginning."""
    settings, models = trial.settings, trial.models
    per_epoch = trial.data.labelled_steps(settings.finetune_batch)
    stepper = plain_sgd(
        [*models.lower.parameters(), *models.downstream.parameters()],
        steps,
        settings.clip_norm,
        settings.finetune_warmup * per_epoch,
        lr=settings.finetune_lr,
        momentum=settings.finetune_momentum,
        weight_decay=settings.finetune_weight_decay,
    )
    length = Step("finetune", 0, steps, "epoch", per_epoch)
    return StageSteps(trial, length, partial(trial.downstream_loss, models.lower), stepper)


def _marks(steps: int) -> list[int]:
    """After which steps to report: evenly spread, the last step included, none twice."""
    return sorted({steps * k // _REPORTS for k in range(1, _REPORTS + 1)} - {0}) or [0]
