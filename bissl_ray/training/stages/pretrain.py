"""Pretext pretraining from scratch: for data that nobody has a checkpoint for, such as the digits."""

import hashlib
import json
import math
from typing import Any

import torch
from torch import nn

from bissl_ray.bilevel.measurements import on_host
from bissl_ray.config.settings import Settings
from bissl_ray.optim import LARS, WarmupCosine, lower_parameter_groups
from bissl_ray.parallel import mean_over_workers
from bissl_ray.progress import Step
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import in_step

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
        fingerprint: of the data and its splits.
        seed: of the initial weights, the order and the augmentations.
    """
    relevant = {
        name: value
        for name, value in settings.model_dump().items()
        if name.startswith("pretrain_") or name.startswith(_RELEVANT) or name == "exclude_bias_and_norm"
    }
    question = json.dumps([relevant, dataset, fingerprint, seed], sort_keys=True)
    return f"pretrained/{dataset}-{hashlib.sha256(question.encode()).hexdigest()[:12]}.pt"


def pretrain(trial: Trial, saved: Any) -> None:
    """Minimise the pretext loss over the pool with LARS, and write backbone and head to the order's `start`.

    Raises:
        FloatingPointError: the loss or the weights are not finite; the same on every worker.
    """
    settings, models = trial.settings, trial.models
    per_epoch = trial.data.pretext_steps(settings.pretrain_batch)
    steps = settings.pretrain_epochs * per_epoch
    schedule = WarmupCosine(steps, settings.pretrain_warmup * per_epoch)
    parameters = [*models.lower.parameters(), *models.pretext.head_parameters()]
    optimizer = _optimizer(trial, {id(parameter) for parameter in parameters})
    step, total = 0, torch.zeros((), device=trial.worker.device)
    if saved is not None:
        optimizer.load_state_dict(saved["optimizer"])
        step = saved["step"]
        total.fill_(saved["total"])

    def state() -> dict[str, Any]:
        return {"optimizer": optimizer.state_dict(), "step": step, "total": float(total)}

    models.lower.train()
    models.pretext.train()
    with trial.data.pretext_views("pretrain", settings.pretrain_batch, step) as batches:
        while step < steps:
            for group in optimizer.param_groups:
                group["lr"] = settings.pretrain_lr * schedule.factor(step)
            with trial.autocast():
                loss = models.pretext.loss(models.lower, next(batches))
            gradients = torch.autograd.grad(loss, parameters)
            *means, mean_loss = mean_over_workers([*gradients, loss.detach()])
            for parameter, gradient in zip(parameters, means, strict=True):
                parameter.grad = gradient
            optimizer.step()
            models.pretext.after_step(models.lower, step / steps)
            total += mean_loss
            step += 1
            if step % per_epoch == 0:
                _end_epoch(trial, step // per_epoch, float(total) / per_epoch, parameters)
                total.zero_()
            if step < steps:
                trial.advance(Step("pretrain", step, steps, "epoch", per_epoch), state, mean_loss)
    trial.save_models("pretrained", ("pretext",), trial.order.start)


def _optimizer(trial: Trial, trained: set[int]) -> LARS:
    settings, models = trial.settings, trial.models
    named = [*models.lower.named_parameters(), *models.pretext.named_parameters()]
    groups = lower_parameter_groups(
        [(name, parameter) for name, parameter in named if id(parameter) in trained],
        settings.pretrain_weight_decay,
        settings.exclude_bias_and_norm,
    )
    return LARS(groups, lr=settings.pretrain_lr, momentum=settings.pretrain_momentum)


def _end_epoch(trial: Trial, epoch: int, loss: float, parameters: list[nn.Parameter]) -> None:
    # What the last step has broken is in the weights, and not yet in a loss.
    norms = torch.stack(torch._foreach_norm(tuple(parameters)))
    weights = on_host([[torch.linalg.vector_norm(norms)]], None)[0][0]
    for quantity, value in (("pretext loss", loss), ("norm of the weights", weights)):
        if not math.isfinite(value):
            raise in_step(
                FloatingPointError(
                    f"the {quantity} is {value} in epoch {epoch} of pretraining: try a smaller pretrain_lr "
                    f"(now {trial.settings.pretrain_lr:g}) or a longer pretrain_warmup"
                )
            )
    trial.account.totals["train_loss"] = loss
    trial.account.report({"stage": "pretrain", "epoch": epoch, "train_loss": loss})
