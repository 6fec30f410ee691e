"""Layer-wise adaptive rate scaling, for large batches."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import ParamsT


class LARS(torch.optim.Optimizer):
    """SGD with momentum whose step is scaled per tensor (You, Gitman and Ginsburg 2017, algorithm 1).

    For a tensor w with gradient g, weight decay β, learning rate η, momentum m and trust coefficient c:

        ratio = c ‖w‖ / (‖g‖ + β ‖w‖)        (1 where ‖w‖ or ‖g‖ is 0)
        u ← m u + η · ratio · (g + β w)
        w ← w − u

    As in the paper, the learning rate enters the momentum buffer. A parameter group with `adapt` False
    keeps ratio = 1.

    Args:
        params: parameters, or groups of them; each group may set every option below for itself.
        lr: learning rate, at least 0.
        momentum: in [0, 1).
        weight_decay: at least 0.
        trust_coefficient: above 0.
        adapt: whether the step is scaled per tensor.

    Raises:
        ValueError: an option out of range.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 0.001,
        adapt: bool = True,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "adapt": adapt,
        }
        super().__init__(params, defaults)
        self._ratios: dict[Tensor, Tensor] = {}
        for group in self.param_groups:
            _check(group)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step on every parameter that has a gradient; return the closure's value, if given."""
        value = None
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                self._step_group(group, parameters)
        return value

    def ratios(self, parameters: Iterable[Tensor]) -> list[Tensor]:
        """Each parameter's ratio in the last step, scalars on its device; 1 where it is not adapted, and before a step.

        They are no part of the state: after it was loaded, the next step has others.
        """
        return [self._ratios.get(parameter, parameter.new_ones(())) for parameter in parameters]

    def _step_group(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        updates = torch._foreach_add(gradients, parameters, alpha=group["weight_decay"])
        if group["adapt"]:
            # One vector of ratios, kept on the device: no host synchronisation.
            weights = torch.stack(torch._foreach_norm(parameters))
            slopes = torch.stack(torch._foreach_norm(gradients))
            ratios = group["trust_coefficient"] * weights / (slopes + group["weight_decay"] * weights)
            ratios = torch.where((weights > 0) & (slopes > 0), ratios, torch.ones_like(ratios))
            torch._foreach_mul_(updates, list((group["lr"] * ratios).unbind()))
            self._ratios.update(zip(parameters, ratios.unbind(), strict=True))
        else:
            torch._foreach_mul_(updates, group["lr"])
        for parameter in parameters:
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        buffers = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_add_(buffers, updates)
        torch._foreach_sub_(parameters, buffers)


def _check(group: dict[str, Any]) -> None:
    if not group["lr"] >= 0:
        raise ValueError(f"lr is {group['lr']}: expected 0 or more")
    if not 0 <= group["momentum"] < 1:
        raise ValueError(f"momentum is {group['momentum']}: expected 0 or more and less than 1")
    if not group["weight_decay"] >= 0:
        raise ValueError(f"weight_decay is {group['weight_decay']}: expected 0 or more")
    if not group["trust_coefficient"] > 0:
        raise ValueError(f"trust_coefficient is {group['trust_coefficient']}: expected more than 0")


def lower_parameter_groups(
    named_parameters: Iterable[tuple[str, nn.Parameter]], weight_decay: float, exclude_bias_and_norm: bool
) -> list[dict[str, Any]]:
    """Split parameters into those that LARS adapts and decays, and those it leaves alone.

    Args:
        named_parameters: as `Module.named_parameters()` gives them.
        weight_decay: of the adapted parameters.
        exclude_bias_and_norm: whether one-dimensional parameters (biases, scales of norms) get a group of
            their own without adaptation and weight decay; otherwise all parameters are in one group.

    Returns:
        Groups for `LARS`, or for `torch.optim.SGD`, which takes weight decay from them and ignores `adapt`.
    """
    parameters = [parameter for _, parameter in named_parameters]
    plain = [p for p in parameters if p.dim() <= 1] if exclude_bias_and_norm else []
    adapted = [p for p in parameters if p.dim() > 1] if exclude_bias_and_norm else parameters
    groups = [
        {"params": adapted, "weight_decay": weight_decay, "adapt": True},
        {"params": plain, "weight_decay": 0.0, "adapt": False},
    ]
    return [group for group in groups if group["params"]]
