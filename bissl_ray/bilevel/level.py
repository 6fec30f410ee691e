"""What both levels are made of: networks with a loss, and batches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor, nn

from bissl_ray.bilevel.curvature.operator import CurvatureOperator

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Level(Generic[Batch]):
    """The networks of one level and what it minimises.

    Attributes:
        backbone: θ of the lower level, θ_D of the upper.
        head: φ_P or φ_D. It holds every other module that `loss` runs, such as a target network (parameters that need
            no gradient), so that their running statistics can be held still too.
        loss: of a backbone and this worker's share of a batch, the mean over the share as a scalar with its graph; the
            global loss is the mean over workers. That of the lower level must be differentiable twice; that of the
            upper level is asked for with either backbone.
        step_loss: of the lower level: the same loss for its steps, which take first derivatives alone, such as in a way
            that takes less memory; None: `loss`.
        after_step: of the lower level: called after each of its steps, without gradients (BYOL moves its target here),
            with the share of all alternations' lower steps that came before this one, in [0, 1).
        curvature: of the lower level: builds the operator that stands for H in the linear solves, from this worker's
            share of a batch, with running statistics frozen until it is closed; None: `LowerHessian` of the loss. Not
            called where nothing is solved.
    """

    backbone: nn.Module
    head: nn.Module
    loss: Callable[[nn.Module, Batch], Tensor]
    after_step: Callable[[float], None] | None = None
    curvature: Callable[[Batch], CurvatureOperator] | None = None
    step_loss: Callable[[nn.Module, Batch], Tensor] | None = None


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that want a gradient, in the module's order."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def next_batch(batches: Iterator[Batch], level: str) -> Batch:
    """The next batch; raises ValueError, not StopIteration, where there is none."""
    try:
        return next(batches)
    except StopIteration:
        raise ValueError(f"the {level} batches ran out: give an iterator that never ends") from None
