"""BiSSL's alternation: lower steps, one Hessian, upper steps (arXiv 2410.02387, algorithm 1)."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Generic, TypeVar

from torch import Tensor, nn

from bissl_ray.bilevel.alternation_report import AlternationReport, summarise
from bissl_ray.bilevel.curvature.operator import CurvatureOperator
from bissl_ray.bilevel.hyperparameters import BilevelHyperparameters
from bissl_ray.bilevel.lower_level import LowerLevel
from bissl_ray.bilevel.measurements import DivergedError, next_batch, trainable
from bissl_ray.bilevel.upper_level import UpperLevel
from bissl_ray.parallel import Group, copy_from_first_worker

LowerBatch = TypeVar("LowerBatch")
UpperBatch = TypeVar("UpperBatch")


class BilevelTrainer(Generic[LowerBatch, UpperBatch]):
    """Runs alternations on four modules that the caller owns, evaluates and saves.

    Gradients are taken by torch.autograd.grad on bare modules (no DDP) and averaged over workers here. At
    construction all workers get worker 0's parameters and buffers.

    Args:
        lower_backbone: θ.
        pretext_head: φ_P. It holds every other module that `lower_loss` runs, such as a target network
            (parameters that need no gradient), so that their running statistics can be held still too.
        upper_backbone: θ_D, of the same architecture as `lower_backbone`.
        downstream_head: φ_D.
        lower_loss: this worker's mean of L_P(θ, φ_P) over its share of a batch, a scalar with its graph,
            differentiable twice; the global loss is the mean over workers.
        upper_loss: likewise L_D of a backbone and φ_D.
        hyperparameters: the numbers.
        after_lower_step: called after each lower step, without gradients (BYOL moves its target here), with the share
            of all alternations' lower steps that came before this one, in [0, 1).
        curvature: builds the operator that stands for H in the linear solves, from this worker's share of a lower
            batch, with running statistics frozen until it is closed; None: `LowerHessian` of `lower_loss`. Not called
            where nothing is solved.
        group: the workers; None for all.

    Raises:
        ValueError: the backbones differ in parameters, or there isn't one proximity weight per parameter.
    """

    def __init__(
        self,
        lower_backbone: nn.Module,
        pretext_head: nn.Module,
        upper_backbone: nn.Module,
        downstream_head: nn.Module,
        lower_loss: Callable[[LowerBatch], Tensor],
        upper_loss: Callable[[nn.Module, UpperBatch], Tensor],
        hyperparameters: BilevelHyperparameters,
        after_lower_step: Callable[[float], None] | None = None,
        curvature: Callable[[LowerBatch], CurvatureOperator] | None = None,
        group: Group = None,
    ) -> None:
        _check_same_parameters(lower_backbone, upper_backbone)
        anchors = trainable(upper_backbone)
        proximity = _weights(hyperparameters.proximity_weight, len(anchors))
        self._modules = (lower_backbone, pretext_head, upper_backbone, downstream_head)
        for module in self._modules:
            copy_from_first_worker([*module.parameters(), *module.buffers()], group)
        self._lower = LowerLevel(
            lower_backbone,
            pretext_head,
            anchors,
            proximity,
            lower_loss,
            hyperparameters,
            after_lower_step,
            curvature,
            group,
        )
        self._upper = UpperLevel(upper_backbone, lower_backbone, downstream_head, upper_loss, hyperparameters, group)
        self._alternations = 0

    def alternation(
        self, lower_batches: Iterator[LowerBatch], upper_batches: Iterator[UpperBatch]
    ) -> AlternationReport:
        """Run the next alternation; all four modules are put in training mode.

        Args:
            lower_batches: gives this worker's shares; `lower_steps` + 1 are taken, the last one for H.
            upper_batches: likewise; `upper_steps` are taken.

        Raises:
            DivergedError: a loss, a gradient, a solution or a backbone is not finite; raised on all workers.
            ValueError: the batches ran out.
        """
        for module in self._modules:
            module.train()
        lower = self._lower.run(lower_batches)
        with self._lower.curvature(next_batch(lower_batches, "lower")) as H:
            upper = self._upper.run(H, upper_batches)
        self._alternations += 1
        distance = self._lower.distance()
        if not math.isfinite(distance):
            raise DivergedError("distance of the backbones", f"the end of alternation {self._alternations}", distance)
        return AlternationReport(
            alternation=self._alternations,
            lower_loss=lower.loss,
            upper_loss=upper.loss,
            direct_loss=upper.direct_loss,
            hypergradient_cosine=upper.cosine,
            implicit_ratio=upper.ratio,
            implicit_change=upper.change,
            distance=distance,
            lower_grad_norm=lower.grad_norm,
            upper_grad_norm=upper.grad_norm,
            lower_lr=self._lower.stepper.lr,
            upper_lr=self._upper.stepper.lr,
            **asdict(summarise(upper.reports)),
        )

    def state_dict(self) -> dict[str, Any]:
        """Optimizers and step counters; the modules' own states are the caller's to save."""
        return {
            "alternations": self._alternations,
            "lower": self._lower.stepper.state_dict(),
            "upper": self._upper.stepper.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned, once the modules' own states are loaded."""
        self._alternations = state["alternations"]
        self._lower.stepper.load_state_dict(state["lower"])
        self._upper.stepper.load_state_dict(state["upper"])


def _check_same_parameters(lower: nn.Module, upper: nn.Module) -> None:
    """Raise ValueError unless both have the same trainable parameters, by name and shape."""
    shapes = [
        {name: tuple(p.shape) for name, p in module.named_parameters() if p.requires_grad} for module in (lower, upper)
    ]
    if list(shapes[0].items()) != list(shapes[1].items()):
        unlike = sorted(dict(set(shapes[0].items()) ^ set(shapes[1].items()))) or ["their order"]
        raise ValueError(f"the backbones differ in {', '.join(unlike[:3])}: they need the same architecture")


def _weights(proximity: float | Sequence[float], count: int) -> list[float]:
    """One proximity weight per parameter tensor."""
    if not isinstance(proximity, Sequence):
        return [proximity] * count
    if len(proximity) != count:
        raise ValueError(
            f"proximity_weight has {len(proximity)} weights: expected one number, or {count}, "
            "one per parameter tensor of the backbone"
        )
    return list(proximity)
