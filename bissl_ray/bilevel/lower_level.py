"""The lower level: pretext steps that stay near θ_D, and the Hessian where they end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from bissl_ray.bilevel.curvature.matrices import LowerHessian
from bissl_ray.bilevel.curvature.operator import CurvatureOperator, NoCurvature
from bissl_ray.bilevel.level import Level, next_batch, trainable
from bissl_ray.bilevel.measurements import check_finite, mean, on_host
from bissl_ray.config.settings import BilevelSettings
from bissl_ray.optim import LARS, Stepper, WarmupCosine, lower_parameter_groups
from bissl_ray.parallel import Group, frozen_statistics, mean_over_workers
from bissl_ray.replay import EAGER, Replays

LowerBatch = TypeVar("LowerBatch")


@dataclass(frozen=True)
class LowerSteps:
    """Means over the lower steps of an alternation: the pretext loss, and the gradient norm before clipping."""

    loss: float
    grad_norm: float


class ProximityTerm:
    """½ Σ λ ‖θ − θ_D‖², what the lower objective adds to the pretext loss (fine-tuning: L2-SP, to its own loss).

    Args:
        theta: the parameters of θ.
        anchors: those of θ_D, in the same order; read anew each time.
        weights: λ, one per parameter tensor.

    Attributes:
        anchors: as given.
    """

    def __init__(self, theta: Sequence[nn.Parameter], anchors: Sequence[Tensor], weights: Sequence[float]) -> None:
        self._theta, self.anchors, self._weights = tuple(theta), tuple(anchors), list(weights)

    @torch.no_grad()
    def gradient(self) -> list[Tensor]:
        """λ (θ − θ_D), the same on all workers, tensors shaped as θ's parameters."""
        return list(torch._foreach_mul(torch._foreach_sub(self._theta, self.anchors), self._weights))

    @torch.no_grad()
    def added_to(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """Gradients with this term's added to those of θ, which come first; to be called once they are averaged."""
        # The same on all workers: summed before, it would have to be averaged, too.
        size = len(self._theta)
        return [*torch._foreach_add(list(gradients[:size]), self.gradient()), *gradients[size:]]

    @torch.no_grad()
    def distance(self) -> Tensor:
        """‖θ − θ_D‖, without weights, a scalar on the device."""
        gaps = torch._foreach_norm(torch._foreach_sub(self._theta, self.anchors))
        length: Tensor = torch.linalg.vector_norm(torch.stack(gaps))
        return length


class LowerLevel(Generic[LowerBatch]):
    """Minimises L_P(θ, φ_P) + λ/2 ‖θ − θ_D‖² over θ and φ_P.

    Args:
        level: θ, φ_P and L_P.
        settings: of the run.
        proximity: the term that holds θ near θ_D.
        group: the workers.
        replays: records loss and gradients of a step; the rest of it stays outside (`Replayed`).
    """

    def __init__(
        self,
        level: Level[LowerBatch],
        settings: BilevelSettings,
        proximity: ProximityTerm,
        group: Group,
        replays: Replays = EAGER,
    ) -> None:
        self._level, self._proximity = level, proximity
        self._theta, self._phi = trainable(level.backbone), trainable(level.head)
        self._make_curvature = (level.curvature or self._hessian) if settings.solves else self._no_curvature
        self._steps = settings.lower_steps
        self._steps_in_all = settings.alternations * settings.lower_steps
        self._group = group
        self._gradients = replays.of(self._loss_and_gradients, "the lower step")
        self._optimizer = lower_optimizer(level, settings)
        self.stepper = Stepper(
            self._optimizer,
            [*self._theta, *self._phi],
            WarmupCosine(self._steps_in_all, settings.lower_warmup * settings.lower_steps),
            settings.clip_norm,
        )

    def run(self, batches: Iterator[LowerBatch]) -> LowerSteps:
        """Take the steps of one alternation; raises DivergedError where a loss or a gradient is not finite."""
        first_step = self.stepper.steps
        losses, norms = [], []
        for _ in range(self._steps):
            loss, own = self._gradients(next_batch(batches, "lower"))
            progress = self.stepper.steps / self._steps_in_all
            norms.append(self.stepper.step(self._proximity.added_to(mean_over_workers(own, self._group))))
            losses.append(loss)
            if self._level.after_step is not None:
                with torch.no_grad():
                    self._level.after_step(progress)
        loss_values, norm_values = on_host([losses, norms], self._group)
        check_finite("lower", first_step, {"lower loss": loss_values, "lower gradient norm": norm_values})
        return LowerSteps(mean(loss_values), mean(norm_values))

    @contextmanager
    def curvature(self, batch: LowerBatch) -> Iterator[CurvatureOperator]:
        """The curvature of L_P on one batch, where θ and φ_P are now; inside, no running statistic moves.

        λ is left out of it: M carries it. Raises DivergedError where the loss is not finite.
        """
        with frozen_statistics(self._level.backbone, self._level.head), self._make_curvature(batch) as operator:
            if isinstance(self._optimizer, LARS):
                operator.adaptation = self._optimizer.ratios(self._theta)
            check_finite("lower", self.stepper.steps, {"lower loss": on_host([[operator.loss]], self._group)[0]})
            yield operator

    def _loss_and_gradients(self, batch: LowerBatch) -> tuple[Tensor, tuple[Tensor, ...]]:
        loss = (self._level.step_loss or self._level.loss)(self._level.backbone, batch)
        return loss.detach(), torch.autograd.grad(loss, [*self._theta, *self._phi])

    def _loss(self, batch: LowerBatch) -> Tensor:
        return self._level.loss(self._level.backbone, batch)

    def _hessian(self, batch: LowerBatch) -> LowerHessian:
        return LowerHessian(self._loss(batch), self._theta, self._group)

    @torch.no_grad()
    def _no_curvature(self, batch: LowerBatch) -> NoCurvature:
        return NoCurvature(self._loss(batch), self._theta, self._group)


def lower_optimizer(level: Level[LowerBatch], settings: BilevelSettings) -> torch.optim.Optimizer:
    """The optimizer of θ and φ_P."""
    everything = [*level.backbone.named_parameters("backbone"), *level.head.named_parameters("head")]
    named = [(name, parameter) for name, parameter in everything if parameter.requires_grad]
    groups = lower_parameter_groups(named, settings.lower_weight_decay, settings.exclude_bias_and_norm)
    kind = LARS if settings.lower_optimizer == "lars" else torch.optim.SGD
    return kind(groups, lr=settings.lower_lr, momentum=settings.lower_momentum)
