"""The upper stage that `bench hypergradient` solves: real networks and images, and where they come from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bissl_ray.data import get_dataset, pretext_batches, train_batches
from bissl_ray.models import Backbone, build_backbone
from bissl_ray.models.checkpoints import load_checkpoint
from bissl_ray.models.matching import load_backbone
from bissl_ray.optim import LARS, WarmupCosine, lower_parameter_groups
from bissl_ray.parallel import all_gather, frozen_statistics, mean_over_workers
from bissl_ray.pretext import SimCLR
from bissl_ray.training.workers import Worker

_DATASET = "digits"
_CLASSES = 10
_PRETRAIN_SIZE, _PRETRAIN_BATCH, _PRETRAIN_LR = 32, 64, 20.0
_HEAD_BATCHES, _HEAD_STEPS, _RIDGE, _HEAD_LR = 16, 50, 1e-3, 0.03

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Question:
    """What to build: see `bissl-ray bench hypergradient --help`.

    Attributes:
        backbone: architecture.
        size: side of the images, pixels.
        batch: images of the lower batch, and of each upper batch, over all workers.
        upper_steps: right-hand sides, one after another.
        pretrain_steps: LARS steps of SimCLR from scratch, where there is no checkpoint.
        pretrained: a checkpoint file, or None.
    """

    backbone: str
    size: int
    batch: int
    upper_steps: int
    pretrain_steps: int
    pretrained: str | None


@dataclass(frozen=True)
class Problem:
    """One upper stage, as far as its linear systems go.

    Attributes:
        backbone: θ.
        params: its parameters.
        pretext: SimCLR with its head.
        views: this worker's share of the lower batch.
        slopes: ∇_θ L_D for each upper step, the same on all workers.
    """

    backbone: Backbone
    params: list[nn.Parameter]
    pretext: SimCLR
    views: tuple[Tensor, Tensor]
    slopes: list[tuple[Tensor, ...]]

    def loss(self, images: int | None = None) -> Callable[[], Tensor]:
        """The pretext loss on the first so many images of the share (None: all), built afresh at each call."""
        first, second = (view[:images] for view in self.views)

        def build() -> Tensor:
            with frozen_statistics(self.backbone, self.pretext):
                return self.pretext.loss(self.backbone, (first, second))

        return build


def build_problem(question: Question, worker: Worker, seed: int = 0) -> Problem:
    """Pretrain or load, fit a head, and collect the gradients of the upper loss (collective).

    The head takes a gradient step after each right-hand side, so that these follow each other as in BiSSL.
    """
    torch.manual_seed(seed)
    backbone = build_backbone(question.backbone, "synchronised").to(worker.device)
    pretext = SimCLR(backbone.feature_dim, 256, 256, 0.5, "synchronised").to(worker.device)
    splits = get_dataset(_DATASET).open(None, 0)
    small = _stream(pretext_batches, splits.pretext, min(question.size, _PRETRAIN_SIZE), _PRETRAIN_BATCH, worker)
    if question.pretrained is None:
        _pretrain(backbone, pretext, question.pretrain_steps, small)
    else:
        load_backbone(backbone, load_checkpoint(question.pretrained).backbone, question.pretrained)
    head = nn.Linear(backbone.feature_dim, _CLASSES).to(worker.device)
    labelled = _stream(train_batches, splits.train, question.size, question.batch, worker)
    _fit_head(backbone, head, [next(labelled) for _ in range(_HEAD_BATCHES)])
    params = list(backbone.parameters())
    slopes = [_slope(backbone, params, head, next(labelled)) for _ in range(question.upper_steps)]
    views = next(_stream(pretext_batches, splits.pretext, question.size, question.batch, worker))
    return Problem(backbone, params, pretext, views, slopes)


def _stream(
    open_batches: Callable[..., Iterator[Batch]], source: Any, size: int, batch: int, worker: Worker
) -> Iterator[Batch]:
    batches = open_batches(
        source,
        get_dataset(_DATASET),
        image_size=size,
        batch=batch,
        seed=0,
        rank=worker.rank,
        world_size=worker.world_size,
    )
    return ((first.to(worker.device), second.to(worker.device)) for first, second in batches)


def _pretrain(backbone: nn.Module, pretext: SimCLR, steps: int, batches: Iterator[Batch]) -> None:
    named = [*backbone.named_parameters(), *pretext.named_parameters()]
    optimizer = LARS(lower_parameter_groups(named, 1e-6, True), lr=_PRETRAIN_LR)
    schedule = WarmupCosine(steps, steps // 10)
    parameters = [parameter for _, parameter in named]
    for step in range(steps):
        gradients = torch.autograd.grad(pretext.loss(backbone, next(batches)), parameters)
        for parameter, gradient in zip(parameters, mean_over_workers(gradients), strict=True):
            parameter.grad = gradient
        for group in optimizer.param_groups:
            group["lr"] = _PRETRAIN_LR * schedule.factor(step)
        optimizer.step()
        optimizer.zero_grad()


def _fit_head(backbone: nn.Module, head: nn.Linear, batches: list[Batch]) -> None:
    """Fit a linear head to features of training mode, with ridge; frozen backbone."""
    with torch.no_grad(), frozen_statistics(backbone):
        features = all_gather(torch.cat([backbone(images) for images, _ in batches]))
    labels = all_gather(torch.cat([labels for _, labels in batches]))
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=_HEAD_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(head(features), labels) + _RIDGE * head.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]


def _slope(backbone: nn.Module, params: list[nn.Parameter], head: nn.Linear, batch: Batch) -> tuple[Tensor, ...]:
    """∇_θ of the upper loss on a batch; then the head takes a step, as it does in BiSSL."""
    images, labels = batch
    with frozen_statistics(backbone):
        loss = F.cross_entropy(head(backbone(images)), labels)
    gradients = mean_over_workers(torch.autograd.grad(loss, [*params, *head.parameters()]))
    with torch.no_grad():
        for parameter, gradient in zip(head.parameters(), gradients[len(params) :], strict=True):
            parameter.sub_(gradient, alpha=_HEAD_LR)
    return tuple(gradients[: len(params)])
