"""The lower level: pretext steps that stay near θ_D, and the Hessian where they end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from bissl_ray.bilevel.curvature.hessian import LowerHessian
from bissl_ray.bilevel.curvature.operator import CurvatureOperator
from bissl_ray.bilevel.curvature.operators import NoCurvature
from bissl_ray.bilevel.hyperparameters import BilevelHyperparameters
from bissl_ray.bilevel.measurements import check_finite, mean, next_batch, on_host, trainable
from bissl_ray.bilevel.stepper import Stepper
from bissl_ray.optim import LARS, WarmupCosine, lower_parameter_groups
from bissl_ray.parallel import Group, frozen_statistics, mean_over_workers

LowerBatch = TypeVar("LowerBatch")


@dataclass(frozen=True)
class LowerStage:
    """Means over the steps of a lower stage: the pretext loss, and the gradient norm before clipping."""

    loss: float
    grad_norm: float


class LowerLevel(Generic[LowerBatch]):
    """Minimises L_P(θ, φ_P) + λ/2 ‖θ − θ_D‖² over θ and φ_P.

    Args:
        backbone: θ.
        head: φ_P, and every other module that `loss` runs.
        anchors: the parameters of θ_D, in the order of θ's.
        proximity: λ, one per parameter of θ.
        loss: this worker's mean of L_P over its share of a batch.
        numbers: the run's hyperparameters.
        after_step: called after each step, without gradients, with the share of the run's steps before it.
        curvature: builds the operator that stands for H from this worker's share of a batch; None: the Hessian
            of `loss`, from one graph. Not called where nothing is solved.
        group: the workers.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        anchors: list[nn.Parameter],
        proximity: list[float],
        loss: Callable[[LowerBatch], Tensor],
        numbers: BilevelHyperparameters,
        after_step: Callable[[float], None] | None,
        curvature: Callable[[LowerBatch], CurvatureOperator] | None,
        group: Group,
    ) -> None:
        self._backbone, self._head = backbone, head
        self._theta, self._phi = trainable(backbone), trainable(head)
        self._anchors, self._proximity = anchors, proximity
        self._loss, self._after_step = loss, after_step
        self._make_curvature = (curvature or self._hessian) if numbers.solves else self._no_curvature
        self._steps_per_stage = numbers.lower_steps
        self._steps_in_all = numbers.alternations * numbers.lower_steps
        self._group = group
        self.stepper = Stepper(
            _optimizer(backbone, head, numbers),
            [*self._theta, *self._phi],
            numbers.lower_lr,
            WarmupCosine(self._steps_in_all, numbers.lower_warmup * numbers.lower_steps),
            numbers.clip_norm,
        )

    def run(self, batches: Iterator[LowerBatch]) -> LowerStage:
        """Take the steps of one stage; raises DivergedError where a loss or a gradient is not finite."""
        first_step = self.stepper.steps
        losses, norms = [], []
        for _ in range(self._steps_per_stage):
            loss = self._loss(next_batch(batches, "lower"))
            own = torch.autograd.grad(loss, [*self._theta, *self._phi])
            progress = self.stepper.steps / self._steps_in_all
            norms.append(self.stepper.step(self._with_proximity(mean_over_workers(own, self._group))))
            losses.append(loss.detach())
            if self._after_step is not None:
                with torch.no_grad():
                    self._after_step(progress)
        loss_values, norm_values = on_host([losses, norms], self._group)
        check_finite("lower", first_step, {"lower loss": loss_values, "lower gradient norm": norm_values})
        return LowerStage(mean(loss_values), mean(norm_values))

    @contextmanager
    def curvature(self, batch: LowerBatch) -> Iterator[CurvatureOperator]:
        """The curvature of L_P on one batch, where θ and φ_P are now; inside, no running statistic moves.

        λ is left out of it: M carries it. Raises DivergedError where the loss is not finite.
        """
        with frozen_statistics(self._backbone, self._head), self._make_curvature(batch) as operator:
            check_finite("lower", self.stepper.steps, {"lower loss": on_host([[operator.loss]], self._group)[0]})
            yield operator

    def _hessian(self, batch: LowerBatch) -> LowerHessian:
        return LowerHessian(self._loss(batch), self._theta, self._group)

    @torch.no_grad()
    def _no_curvature(self, batch: LowerBatch) -> NoCurvature:
        return NoCurvature(self._loss(batch), self._theta, self._group)

    @torch.no_grad()
    def distance(self) -> float:
        """‖θ − θ_D‖."""
        gaps = torch._foreach_norm(torch._foreach_sub(tuple(self._theta), tuple(self._anchors)))
        return on_host([[torch.linalg.vector_norm(torch.stack(gaps))]], self._group)[0][0]

    @torch.no_grad()
    def _with_proximity(self, gradients: list[Tensor]) -> list[Tensor]:
        # λ (θ − θ_D) is the same on all workers, so it is added after averaging.
        gaps = torch._foreach_sub(tuple(self._theta), tuple(self._anchors))
        pull = torch._foreach_mul(gaps, self._proximity)
        size = len(self._theta)
        return [*torch._foreach_add(gradients[:size], list(pull)), *gradients[size:]]


def _optimizer(backbone: nn.Module, head: nn.Module, numbers: BilevelHyperparameters) -> torch.optim.Optimizer:
    everything = [*backbone.named_parameters("backbone"), *head.named_parameters("head")]
    named = [(name, parameter) for name, parameter in everything if parameter.requires_grad]
    groups = lower_parameter_groups(named, numbers.lower_weight_decay, numbers.exclude_bias_and_norm)
    kind = LARS if numbers.lower_optimizer == "lars" else torch.optim.SGD
    return kind(groups, lr=numbers.lower_lr, momentum=numbers.lower_momentum)
