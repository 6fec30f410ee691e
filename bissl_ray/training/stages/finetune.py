"""Fine-tuning: backbone and head together, on the labelled images."""

from functools import partial

from torch import Tensor

from bissl_ray.models.base import Backbone
from bissl_ray.progress import Step
from bissl_ray.training.evaluation.likeness import relative_distance, weights_of
from bissl_ray.training.evaluation.statistics import average_statistics
from bissl_ray.training.files import read_tensors
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
    start = _start(trial, saved)
    run = fine_tuning(trial, steps)
    run.go_on(saved)

    def report(loss: float) -> None:
        average_statistics(models.lower, models.downstream)
        row = {"stage": "finetune", "epoch": run.epoch, "train_loss": loss}
        if start is not None:
            row["moved"] = trial.account.totals["moved"] = relative_distance(models.lower, start)
        row["objective"] = trial.account.totals["objective"] = trial.score("lower")
        trial.account.report(row)

    with trial.data.labelled("finetune", settings.finetune_batch, run.step) as batches:
        run.run(batches, _marks(steps), report)
    if trial.order.keep_models:
        trial.save_models("finetuned", ("downstream",))


def _start(trial: Trial, saved: StepsState | None) -> list[Tensor] | None:
    """The backbone's parameters where fine-tuning starts, on the CPU: one more copy, 94 MB of a ResNet-50.

    After an interruption they are read from the file that it started from; None where that is gone.
    """
    if saved is None:
        return weights_of(trial.models.lower)
    order = trial.order
    path = f"{order.folder}/aligned.pt" if "bissl" in order.stages else order.start
    content = read_tensors(order.storage, path)
    return None if content is None else weights_of(trial.models.backbone_of(content))


def fine_tuning(trial: Trial, steps: int) -> StageSteps:
    """So many steps of `finetune`, at their beginning."""
    settings, models = trial.settings, trial.models
    per_epoch = trial.data.labelled_steps(settings.finetune_batch)
    head = list(models.downstream.parameters())
    stepper = plain_sgd(
        [*models.lower.parameters(), *head],
        steps,
        settings.clip_norm,
        settings.finetune_warmup * per_epoch,
        [*falling_rates(models.lower, settings.finetune_layer_decay), *[1.0] * len(head)],
        lr=settings.finetune_lr,
        momentum=settings.finetune_momentum,
        weight_decay=settings.finetune_weight_decay,
    )
    length = Step("finetune", 0, steps, "epoch", per_epoch)
    return StageSteps(trial, length, partial(trial.downstream_loss, models.lower), stepper)


def falling_rates(backbone: Backbone, decay: float) -> list[float]:
    """Factor on the learning rate of each of a backbone's parameter tensors, in the module's order (issue 16).

    Rates that fall with depth below the head, as in ULMFiT (Howard and Ruder 2018, section 3.2), by parts of the
    backbone in place of layers: decay for the last part, decay² for the one before it.

    Args:
        backbone: all of its parameters are trained.
        decay: in (0, 1].
    """
    below = {part: depth for depth, part in enumerate(reversed(backbone.parts), start=1)}
    return [decay ** below[part] for part in backbone.parameter_parts()]


def _marks(steps: int) -> list[int]:
    """After which steps to report: evenly spread, the last step included, none twice."""
    return sorted({steps * k // _REPORTS for k in range(1, _REPORTS + 1)} - {0}) or [0]
