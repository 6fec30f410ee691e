"""The short trainings behind `benchmarks.problem`: a pretraining, a head, and the upper steps' gradients."""

from collections.abc import Iterator
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bissl_ray.data.loaders import Samples, endless_batches
from bissl_ray.data.nested import each_tensor
from bissl_ray.data.sampling import Share, Stream
from bissl_ray.optim import LARS, Stepper, WarmupCosine, lower_parameter_groups
from bissl_ray.parallel import all_gather, frozen_statistics, mean_over_workers
from bissl_ray.pretext import SimCLR
from bissl_ray.training.worker import Worker

_PRETRAIN_LR: Final = 20.0
_HEAD_STEPS, _RIDGE, _HEAD_LR = 50, 1e-3, 0.03

Batch = tuple[Tensor, Tensor]


def batches_on(worker: Worker, samples: Samples, stream: Stream) -> Iterator[Batch]:
    """This worker's shares of a stream's batches, on its device."""
    batches = endless_batches(samples, stream, Share(worker.rank, worker.world_size))
    return (each_tensor(batch, lambda tensor: tensor.to(worker.device)) for batch in batches)


def pretrain(backbone: nn.Module, pretext: SimCLR, steps: int, batches: Iterator[Batch]) -> None:
    """Take some LARS steps of SimCLR (collective)."""
    named = [*backbone.named_parameters(), *pretext.named_parameters()]
    parameters = [parameter for _, parameter in named]
    optimizer = LARS(lower_parameter_groups(named, 1e-6, True), lr=_PRETRAIN_LR)
    stepper = Stepper(optimizer, parameters, WarmupCosine(steps, steps // 10), clip_norm=None)
    for _ in range(steps):
        gradients = torch.autograd.grad(pretext.loss(backbone, next(batches)), parameters)
        stepper.step(mean_over_workers(gradients))


def fit_head(backbone: nn.Module, head: nn.Linear, batches: list[Batch]) -> None:
    """Fit a linear head to features of training mode, with ridge; frozen backbone (collective)."""
    with torch.no_grad(), frozen_statistics(backbone):
        features = all_gather(torch.cat([backbone(images) for images, _ in batches]))
    labels = all_gather(torch.cat([labels for _, labels in batches]))
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=_HEAD_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(head(features), labels) + _RIDGE * head.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]


def slope(backbone: nn.Module, params: list[nn.Parameter], head: nn.Linear, batch: Batch) -> tuple[Tensor, ...]:
    """∇_θ of the upper loss on a batch; then the head takes a step, as it does in BiSSL (collective)."""
    images, labels = batch
    with frozen_statistics(backbone):
        loss = F.cross_entropy(head(backbone(images)), labels)
    gradients = mean_over_workers(torch.autograd.grad(loss, [*params, *head.parameters()]))
    with torch.no_grad():
        for parameter, gradient in zip(head.parameters(), gradients[len(params) :], strict=True):
            parameter.sub_(gradient, alpha=_HEAD_LR)
    return tuple(gradients[: len(params)])
