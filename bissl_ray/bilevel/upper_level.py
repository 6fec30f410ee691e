"""The upper level: downstream steps along the hypergradient."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from bissl_ray.bilevel.alternation_solve import reuses_solution
from bissl_ray.bilevel.curvature.operator import CurvatureOperator
from bissl_ray.bilevel.hypergradient import hypergradient
from bissl_ray.bilevel.level import Level, next_batch, trainable
from bissl_ray.bilevel.measurements import check_finite, mean, mean_where_defined, on_host
from bissl_ray.bilevel.solvers import KnownProducts, SolveReport
from bissl_ray.config.settings import BilevelSettings
from bissl_ray.optim import Stepper, WarmupCosine
from bissl_ray.parallel import Group, frozen_statistics, mean_over_workers
from bissl_ray.replay import EAGER, Replays

UpperBatch = TypeVar("UpperBatch")


@dataclass(frozen=True)
class UpperSteps:
    """What happened in the upper steps of an alternation.

    Attributes:
        loss: mean of L_D(θ*, φ_D).
        direct_loss: mean of L_D(θ_D, φ_D), not weighted by γ.
        grad_norm: mean gradient norm before clipping.
        cosine: mean cosine between implicit part and v over the steps that define it; None without any. So with
            the next two, see `Hypergradient`.
        ratio: mean of ‖implicit part‖ / ‖direct part‖.
        change: mean relative change of the gradient of θ_D by the solve.
        backbone_share: mean share of θ_D in the squared gradient norm.
        reports: of the linear solves, one per step.
    """

    loss: float
    direct_loss: float
    grad_norm: float
    cosine: float | None
    ratio: float | None
    change: float | None
    backbone_share: float | None
    reports: list[SolveReport]


class UpperLevel(Generic[UpperBatch]):
    """Minimises L_D(θ*(θ_D), φ_D) + γ L_D(θ_D, φ_D) over θ_D and φ_D.

    Args:
        level: θ_D, φ_D and L_D.
        lower_backbone: holds θ*.
        settings: of the run.
        proximity: λ, one number, or one per parameter tensor.
        group: the workers.
        replays: records both losses with their gradients; the rest of a step stays outside (`Replayed`).

    Attributes:
        stepper: of both θ_D and φ_D.
        solution: of the last linear system, where the next alternation starts from it, `[entries]`; None before.
    """

    def __init__(
        self,
        level: Level[UpperBatch],
        lower_backbone: nn.Module,
        settings: BilevelSettings,
        proximity: float | Sequence[float],
        group: Group,
        replays: Replays = EAGER,
    ) -> None:
        self._level, self._lower_backbone = level, lower_backbone
        self._theta_d, self._theta, self._phi = map(trainable, (level.backbone, lower_backbone, level.head))
        self._settings, self._proximity = settings, proximity
        self._group = group
        self._gradients = replays.of(self._at_lower_solution, "the upper step at θ*")
        self._direct_gradients = replays.of(self._direct, "the upper step at θ_D")
        self.solution: Tensor | None = None
        parameters = [*self._theta_d, *self._phi]
        self.stepper = Stepper(
            torch.optim.SGD(
                parameters,
                lr=settings.upper_lr,
                momentum=settings.upper_momentum,
                weight_decay=settings.upper_weight_decay,
            ),
            parameters,
            WarmupCosine(settings.alternations * settings.upper_steps, warmup_steps=0),
            settings.clip_norm,
        )

    def run(self, H: CurvatureOperator, batches: Iterator[UpperBatch]) -> UpperSteps:
        """Take the steps of one alternation, all with one Hessian; raises DivergedError where a number is not finite.

        Each solve starts from the best combination of the products that the alternation's earlier solves computed, the
        first, where it is set so, from the last alternation's solution.
        """
        first_step = self.stepper.steps
        measured: list[tuple[Tensor, ...]] = []
        reports: list[SolveReport] = []
        chosen = self._settings
        # The solution that is reused takes the place of a product.
        room = max(chosen.recycled_products, int(reuses_solution(chosen)))
        known = KnownProducts.between_solves(room, chosen.solver, chosen.cg_tolerance)
        known.carried, self.solution = self.solution, None
        for _ in range(self._settings.upper_steps):
            batch = next_batch(batches, "upper")
            loss, own = self._gradients(batch)
            direct_loss, own_direct = self._direct_gradients(batch)
            gradients = mean_over_workers([*own, *own_direct], self._group)
            implicit, direct = gradients[: len(own)], gradients[len(own) :]
            size = len(self._theta)
            outcome = hypergradient(H, implicit[:size], direct[:size], self._settings, self._proximity, known)
            head = torch._foreach_add(implicit[size:], direct[size:])
            norm = self.stepper.step([*outcome.total, *head])
            share = (nn.utils.get_total_norm(outcome.total) / norm).square()
            measured.append((loss, direct_loss, norm, outcome.cosine, outcome.ratio, outcome.change, share))
            reports.append(outcome.solution.report)
        self.solution = outcome.solution.inverse if reuses_solution(chosen) else known.carried
        table = on_host(list(zip(*measured, strict=True)), self._group)
        losses, direct_losses, norms, cosines, ratios, changes, shares = table
        products = [math.nan if report.stopped_because == "non_finite" else 0.0 for report in reports]
        checked = {"upper loss": losses, "direct loss": direct_losses, "upper gradient norm": norms}
        check_finite("upper", first_step, {**checked, "curvature product": products})
        return UpperSteps(
            mean(losses),
            mean(direct_losses),
            mean(norms),
            mean_where_defined(cosines),
            mean_where_defined(ratios),
            mean_where_defined(changes),
            mean_where_defined(shares),
            reports,
        )

    def _at_lower_solution(self, batch: UpperBatch) -> tuple[Tensor, tuple[Tensor, ...]]:
        """L_D(θ*, φ_D) and its gradients; the lower backbone's statistics stay those of pretext data."""
        with frozen_statistics(self._lower_backbone):
            loss = self._level.loss(self._lower_backbone, batch)
        return loss.detach(), _gradients(loss, [*self._theta, *self._phi])

    def _direct(self, batch: UpperBatch) -> tuple[Tensor, tuple[Tensor, ...]]:
        """L_D(θ_D, φ_D), and the gradients of γ times it.

        With γ = 0 there is nothing to differentiate, but the forward still runs: it is reported, and it
        keeps the upper backbone's running statistics fit for evaluation.
        """
        parameters = [*self._theta_d, *self._phi]
        weight = self._settings.direct_weight
        if weight == 0:
            with torch.no_grad():
                return self._level.loss(self._level.backbone, batch), tuple(torch.zeros_like(p) for p in parameters)
        loss = self._level.loss(self._level.backbone, batch)
        return loss.detach(), _gradients(weight * loss, parameters)


def _gradients(loss: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    # A task need not use every parameter of the backbone.
    return torch.autograd.grad(loss, parameters, materialize_grads=True)
