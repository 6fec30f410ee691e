"""What both levels are made of: networks with a loss, batches, and steps from gradients that were computed by hand."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from bissl_ray.optim import WarmupCosine

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
    """

    backbone: nn.Module
    head: nn.Module
    loss: Callable[[nn.Module, Batch], Tensor]


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that want a gradient, in the module's order."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def next_batch(batches: Iterator[Batch], level: str) -> Batch:
    """The next batch; raises ValueError, not StopIteration, where there is none."""
    try:
        return next(batches)
    except StopIteration:
        raise ValueError(f"the {level} batches ran out: give an iterator that never ends") from None


class Stepper:
    """An optimizer with its schedule and its step counter.

    Args:
        optimizer: holds exactly `parameters`.
        parameters: in the order in which gradients will come.
        peak_lr: learning rate where the schedule's factor is 1.
        schedule: factor by step.
        clip_norm: largest norm over all gradients together; None for no clipping.

    Attributes:
        steps: how many were taken.
        lr: learning rate of the last step.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        parameters: Sequence[nn.Parameter],
        peak_lr: float,
        schedule: WarmupCosine,
        clip_norm: float | None,
    ) -> None:
        self.steps = 0
        self.lr = peak_lr * schedule.factor(0)
        self._optimizer = optimizer
        self._parameters = list(parameters)
        self._peak_lr = peak_lr
        self._schedule = schedule
        self._clip_norm = clip_norm

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> Tensor:
        """Clip, step, and forget the gradients.

        Args:
            gradients: shaped as the parameters; they are not written to.

        Returns:
            Their norm before clipping, a scalar on the device.
        """
        norm = nn.utils.get_total_norm(list(gradients))
        if self._clip_norm is not None:
            # Not in place: autograd may hand out one tensor for two parameters, or an expanded one.
            shrink = torch.clamp(self._clip_norm / (norm + 1e-6), max=1.0)
            gradients = torch._foreach_mul(list(gradients), shrink)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        self.lr = self._peak_lr * self._schedule.factor(self.steps)
        for group in self._optimizer.param_groups:
            group["lr"] = self.lr
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.steps += 1
        return norm

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state and the number of steps taken."""
        return {"optimizer": self._optimizer.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self._optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]
