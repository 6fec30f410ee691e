"""A stepper goes on from what another saved: with its momentum, at rates of its own."""

import torch
from torch import nn

from bissl_ray.optim.schedule import WarmupCosine
from bissl_ray.optim.stepper import Stepper


def stepper(lr: float, weight_decay: float, momentum: float = 0.9) -> Stepper:
    parameter = nn.Parameter(torch.ones(2, dtype=torch.float64))
    optimizer = torch.optim.SGD([parameter], lr=lr, momentum=momentum, weight_decay=weight_decay)
    return Stepper(optimizer, [parameter], WarmupCosine(10, 0), None)


def test_it_goes_on_with_anothers_momentum_at_its_own_rates() -> None:
    gradient = torch.tensor([0.5, -1.0], dtype=torch.float64)
    first = stepper(0.1, 0.0)
    first.step([gradient])
    second = stepper(0.02, 0.3)
    with torch.no_grad():
        second.parameters[0].copy_(first.parameters[0])
    second.load_state_dict(first.state_dict())
    was = second.parameters[0].detach().clone()
    second.step([gradient])
    lr = 0.02 * WarmupCosine(10, 0).factor(1)
    moved = 0.9 * gradient + gradient + 0.3 * was
    torch.testing.assert_close(second.parameters[0].detach(), was - lr * moved, rtol=0, atol=1e-15)
    assert second.steps == 2
    assert second._optimizer.param_groups[0]["weight_decay"] == 0.3
