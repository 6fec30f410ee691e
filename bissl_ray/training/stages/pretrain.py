"""Pretext pretraining from scratch: for data that nobody has a checkpoint for, such as the digits."""

import hashlib
import json
from functools import partial

import torch
from torch import nn

from bissl_ray.bilevel.measurements import on_host
from bissl_ray.config.settings import Settings
from bissl_ray.optim import LARS, Stepper, WarmupCosine, lower_parameter_groups
from bissl_ray.progress import Step
from bissl_ray.training.lower_memory import pretext_step_loss
from bissl_ray.training.stages.steps import StageSteps, StepsState
from bissl_ray.training.trial import Trial

_RELEVANT = (
    "backbone",
    "pretext",
    "image_size",
    "cache_side",
    "batch_norm",
    "projector_",
    "temperature",
    "target_",
    "vicreg_",
    "barlow_",
    "precision",
)


def pretrained_path(settings: Settings, dataset: str, fingerprint: str, seed: int) -> str:
    """Where the result is cached, relative to the storage: the same question has the same file.

    Args:
        settings: only what pretraining depends on counts.
        dataset: its name, for people who look into the folder.
        fingerprint: of what the pretext sees (`DatasetSplits.of_pretext`): labels make no other model.
        seed: of the initial weights, the order and the augmentations.
    """
    relevant = {
        name: value
        for name, value in settings.model_dump().items()
        if name.startswith("pretrain_") or name.startswith(_RELEVANT) or name == "exclude_bias_and_norm"
    }
    question = json.dumps([relevant, dataset, fingerprint, seed], sort_keys=True)
    return f"pretrained/{dataset}-{hashlib.sha256(question.encode()).hexdigest()[:12]}.pt"


def pretrain(trial: Trial, saved: StepsState | None) -> None:
    """Minimise the pretext loss over the pool with LARS, and write backbone and head to the order's `start`.

    Raises:
        FloatingPointError: the loss or the weights are not finite; the same on every worker.
    """
    settings, models = trial.settings, trial.models
    run = pretraining(trial)
    run.go_on(saved)
    parameters = _trained(trial)

    def report(loss: float) -> None:
        # What the last step has broken is in the weights, and not yet in a loss.
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tuple(parameters))))
        run.refuse_unless_finite("norm of the weights", on_host([[norm]], None)[0][0])
        trial.account.totals["train_loss"] = loss
        trial.account.report({"stage": "pretrain", "epoch": run.epoch, "train_loss": loss})

    models.lower.train()
    models.pretext.train()
    per_epoch = trial.data.pretext_steps(settings.pretrain_batch)
    with trial.data.pretext_batches("pretrain", settings.pretrain_batch, run.step) as batches:
        run.run(batches, range(per_epoch, settings.pretrain_epochs * per_epoch + 1, per_epoch), report)
    trial.save_models("pretrained", ("pretext",), trial.order.start)


def pretraining(trial: Trial) -> StageSteps:
    """The steps of `pretrain`, at their beginning."""
    settings, models = trial.settings, trial.models
    per_epoch = trial.data.pretext_steps(settings.pretrain_batch)
    steps = settings.pretrain_epochs * per_epoch
    parameters = _trained(trial)
    schedule = WarmupCosine(steps, settings.pretrain_warmup * per_epoch)
    return StageSteps(
        trial,
        Step("pretrain", 0, steps, "epoch", per_epoch),
        partial(pretext_step_loss(trial, settings.pretrain_batch), models.lower),
        Stepper(_optimizer(trial, {id(parameter) for parameter in parameters}), parameters, schedule, clip_norm=None),
        after_step=partial(models.pretext.after_step, models.lower),
    )


def _trained(trial: Trial) -> list[nn.Parameter]:
    return [*trial.models.lower.parameters(), *trial.models.pretext.head_parameters()]


def _optimizer(trial: Trial, trained: set[int]) -> LARS:
    settings, models = trial.settings, trial.models
    named = [*models.lower.named_parameters(), *models.pretext.named_parameters()]
    groups = lower_parameter_groups(
        [(name, parameter) for name, parameter in named if id(parameter) in trained],
        settings.pretrain_weight_decay,
        settings.exclude_bias_and_norm,
    )
    return LARS(groups, lr=settings.pretrain_lr, momentum=settings.pretrain_momentum)
