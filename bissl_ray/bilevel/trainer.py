"""BiSSL's alternation: lower steps, one Hessian, upper steps (arXiv 2410.02387, algorithm 1)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Generic, NotRequired, TypedDict, TypeVar

from torch import Tensor, nn

from bissl_ray.bilevel.alternation_report import AlternationReport, summarise
from bissl_ray.bilevel.level import Level, next_batch, trainable
from bissl_ray.bilevel.lower_level import LowerLevel, ProximityTerm
from bissl_ray.bilevel.measurements import DivergedError, on_host
from bissl_ray.bilevel.solve import check_arguments
from bissl_ray.bilevel.upper_level import UpperLevel
from bissl_ray.config.settings import BilevelSettings
from bissl_ray.optim import StepperState
from bissl_ray.parallel import Group, copy_from_first_worker
from bissl_ray.replay import EAGER, Replays

LowerBatch = TypeVar("LowerBatch")
UpperBatch = TypeVar("UpperBatch")


class TrainerState(TypedDict):
    """What an interrupted run needs to go on, beside the modules' own states."""

    alternations: int
    lower: StepperState
    upper: StepperState
    solution: NotRequired[Tensor | None]
    """What the next alternation's linear solves start from; states of before it was there have none."""


class BilevelTrainer(Generic[LowerBatch, UpperBatch]):
    """Runs alternations on networks that the caller owns, evaluates and saves.

    Gradients are taken by torch.autograd.grad on bare modules (no DDP) and averaged over workers here. At
    construction all workers get worker 0's parameters and buffers.

    Args:
        lower: θ, φ_P and L_P, and what else the lower level has.
        upper: θ_D, of the same architecture as θ, φ_D and L_D.
        settings: of the run; of the proximity weights among them none is read.
        proximity: λ, one number, or one per parameter tensor of the backbone.
        group: the workers; None for all.
        replays: records losses and gradients of both levels' steps.

    Raises:
        ValueError: the backbones differ in parameters, there isn't one proximity weight per parameter tensor, or the
            linear system could not be solved with these numbers, as by `solve`.
    """

    def __init__(
        self,
        lower: Level[LowerBatch],
        upper: Level[UpperBatch],
        settings: BilevelSettings,
        proximity: float | Sequence[float],
        group: Group = None,
        replays: Replays = EAGER,
    ) -> None:
        _check_same_parameters(lower.backbone, upper.backbone)
        theta, anchors = trainable(lower.backbone), trainable(upper.backbone)
        weights = _weights(proximity, len(anchors))
        # What is added in an alternation is positive where damping_relative is.
        least = settings.damping + settings.damping_relative
        check_arguments(proximity, least, settings.solver, settings.cg_iterations, settings.cg_tolerance)
        self._modules = (lower.backbone, lower.head, upper.backbone, upper.head)
        for module in self._modules:
            copy_from_first_worker([*module.parameters(), *module.buffers()], group)
        self._proximity = ProximityTerm(theta, anchors, weights)
        self._lower = LowerLevel(lower, settings, self._proximity, group, replays)
        self._upper = UpperLevel(upper, lower.backbone, settings, proximity, group, replays)
        self._group = group
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
        distance = on_host([[self._proximity.distance()]], self._group)[0][0]
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
            upper_backbone_share=upper.backbone_share,
            distance=distance,
            lower_grad_norm=lower.grad_norm,
            upper_grad_norm=upper.grad_norm,
            lower_lr=self._lower.stepper.lr,
            upper_lr=self._upper.stepper.lr,
            **asdict(summarise(upper.reports)),
        )

    def state_dict(self) -> TrainerState:
        """Optimizers, step counters, the solution to start from; the modules' own states are the caller's to save."""
        return {
            "alternations": self._alternations,
            "lower": self._lower.stepper.state_dict(),
            "upper": self._upper.stepper.state_dict(),
            "solution": self._upper.solution,
        }

    def load_state_dict(self, state: TrainerState) -> None:
        """Continue from what `state_dict` returned, once the modules' own states are loaded."""
        self._alternations = state["alternations"]
        self._lower.stepper.load_state_dict(state["lower"])
        self._upper.stepper.load_state_dict(state["upper"])
        solution = state.get("solution")
        self._upper.solution = None if solution is None else solution.to(self._upper.stepper.parameters[0].device)


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
            f"proximity has {len(proximity)} weights: expected one number, or {count}, "
            "one per parameter tensor of the backbone"
        )
    return list(proximity)
