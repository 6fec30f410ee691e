"""Pretext pretraining from scratch: for data that nobody has a checkpoint for, such as the digits."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import torch

from bissl_ray.config.settings import Settings
from bissl_ray.data import steps_per_epoch
from bissl_ray.optim import LARS, WarmupCosine, lower_parameter_groups
from bissl_ray.parallel import mean_over_workers
from bissl_ray.training.files import write_tensors
from bissl_ray.training.order import Order
from bissl_ray.training.precision import training_arithmetic
from bissl_ray.training.trial import Trial
from bissl_ray.training.workers import Worker, from_ray_train

_RELEVANT = (
    "backbone",
    "pretext",
    "image_size",
    "batch_norm",
    "projector_",
    "temperature",
    "target_momentum",
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


def pretrain(order: Order, worker: Worker, epoch_done: Callable[[int, float], None]) -> None:
    """Minimise the pretext loss over the pool with LARS, and write backbone and head to `order.start`.

    Collective over the workers. An interrupted run goes on from its last saved epoch.

    Args:
        order: settings, data, seed; `start` is where the result goes.
        worker: this process among the workers.
        epoch_done: called by the chief with the epoch (from 1) and its mean loss.
    """
    trial = Trial(order, worker, lambda _row: None)
    settings, models = trial.settings, trial.models
    per_epoch = steps_per_epoch(trial.splits.pretext, settings.pretrain_batch, worker.world_size)
    schedule = WarmupCosine(settings.pretrain_epochs * per_epoch, settings.pretrain_warmup * per_epoch)
    parameters = [*models.lower.parameters(), *models.pretext.head_parameters()]
    trained = {id(parameter) for parameter in parameters}
    named = [*models.lower.named_parameters(), *models.pretext.named_parameters()]
    groups = lower_parameter_groups(
        [(name, parameter) for name, parameter in named if id(parameter) in trained],
        settings.pretrain_weight_decay,
        settings.exclude_bias_and_norm,
    )
    optimizer = LARS(groups, lr=settings.pretrain_lr, momentum=settings.pretrain_momentum)
    done = _resume(trial, optimizer)
    models.lower.train()
    models.pretext.train()
    with (
        training_arithmetic(settings.precision),
        trial.pretext_views("pretrain", settings.pretrain_batch, done * per_epoch) as batches,
    ):
        for epoch in range(done, settings.pretrain_epochs):
            total = torch.zeros((), device=worker.device)
            for step in range(epoch * per_epoch, (epoch + 1) * per_epoch):
                for group in optimizer.param_groups:
                    group["lr"] = settings.pretrain_lr * schedule.factor(step)
                with trial.autocast():
                    loss = models.pretext.loss(models.lower, next(batches))
                gradients = mean_over_workers(torch.autograd.grad(loss, parameters))
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.grad = gradient
                optimizer.step()
                models.pretext.after_step(models.lower)
                total += loss.detach()
            mean = float(mean_over_workers([total])[0]) / per_epoch
            if worker.is_chief:
                epoch_done(epoch + 1, mean)
            trial.save_progress(str(epoch + 1), optimizer.state_dict)
    if worker.is_chief:
        _write_result(trial)
        trial.progress.clear()


def _resume(trial: Trial, optimizer: torch.optim.Optimizer) -> int:
    saved = trial.progress.load()
    if saved is None:
        return 0
    trial.models.start_from(saved["models"], "the interrupted pretraining")
    optimizer.load_state_dict(saved["state"])
    return int(saved["stage"])


def _write_result(trial: Trial) -> None:
    made = {"model": "pretrained", "dataset": trial.order.dataset, "seed": trial.order.seed}
    content = trial.models.checkpoint(("pretext",), {**made, "settings": trial.order.settings})
    write_tensors(trial.order.storage, trial.order.start, content)


def pretrain_on_worker(config: dict[str, Any]) -> None:
    """Pretrain as a worker of a TorchTrainer.

    Args:
        config: "order" as of `Order.to_mapping`; "threads", CPU threads; "queue", where the chief puts
            (epoch, mean loss).
    """
    torch.set_num_threads(config["threads"])
    order = Order.from_mapping(config["order"])
    pretrain(order, from_ray_train(), lambda epoch, loss: config["queue"].put((epoch, loss)))
