"""Steps of an optimizer from gradients that were computed by hand."""

from collections.abc import Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from bissl_ray.optim.schedule import WarmupCosine


class StepperState(TypedDict):
    """What a `Stepper` needs to go on: the optimizer's own state, and how many steps were taken."""

    optimizer: dict[str, Any]
    steps: int


class Stepper:
    """An optimizer with its schedule and its step counter.

    Args:
        optimizer: holds exactly `parameters`; its learning rate, and that of each of its groups, is that where the
            schedule's factor is 1.
        parameters: in the order in which gradients will come.
        schedule: factor by step.
        clip_norm: largest norm over all gradients together; None for no clipping.

    Attributes:
        parameters: as given.
        steps: how many were taken.
        lr: learning rate of the last step, of groups that have none of their own.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        parameters: Sequence[nn.Parameter],
        schedule: WarmupCosine,
        clip_norm: float | None,
    ) -> None:
        self.steps = 0
        self._peak_lr: float = optimizer.defaults["lr"]
        self.lr = self._peak_lr * schedule.factor(0)
        self._peak_of_groups: list[float] = [group["lr"] for group in optimizer.param_groups]
        self._optimizer = optimizer
        self.parameters = list(parameters)
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
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        factor = self._schedule.factor(self.steps)
        self.lr = self._peak_lr * factor
        for group, peak in zip(self._optimizer.param_groups, self._peak_of_groups, strict=True):
            group["lr"] = peak * factor
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.steps += 1
        return norm

    def state_dict(self) -> StepperState:
        """The optimizer's state and the number of steps taken."""
        return {"optimizer": self._optimizer.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: StepperState) -> None:
        """Continue from what `state_dict` returned; rates, momentum and weight decay stay this optimizer's own."""
        own = [{name: group[name] for name in group if name != "params"} for group in self._optimizer.param_groups]
        self._optimizer.load_state_dict(state["optimizer"])
        for group, values in zip(self._optimizer.param_groups, own, strict=True):
            group.update(values)
        self.steps = state["steps"]
