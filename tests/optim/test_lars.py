import pytest
import torch
from torch import nn

from bissl_ray.optim import LARS, lower_parameter_groups


def test_two_steps_equal_a_hand_computation():
    w = nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))  # ‖w‖ = 5
    optimizer = LARS([w], lr=2.0, momentum=0.5, weight_decay=0.1, trust_coefficient=0.01)
    w.grad = torch.tensor([0.0, 2.0], dtype=torch.float64)
    optimizer.step()
    # ratio = 0.01 · 5 / (2 + 0.1 · 5) = 0.02; u = 2 · 0.02 · (g + 0.1 w) = 0.04 · (0.3, 2.4)
    first = torch.tensor([3.0 - 0.012, 4.0 - 0.096], dtype=torch.float64)
    torch.testing.assert_close(w.detach(), first, rtol=0, atol=1e-14)
    optimizer.param_groups[0]["lr"] = 1.0
    optimizer.step()
    norm = float(first.norm())
    ratio = 0.01 * norm / (2 + 0.1 * norm)
    u = 0.5 * torch.tensor([0.012, 0.096], dtype=torch.float64) + ratio * (w.grad + 0.1 * first)
    torch.testing.assert_close(w.detach(), first - u, rtol=0, atol=1e-14)


def test_zero_norms_leave_the_step_unscaled():
    w = nn.Parameter(torch.zeros(3))
    optimizer = LARS([w], lr=1.0, momentum=0.0)
    w.grad = torch.ones(3)
    optimizer.step()
    torch.testing.assert_close(w.detach(), -torch.ones(3))


def test_biases_and_norms_step_as_plain_sgd_without_decay():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    groups = lower_parameter_groups(model.named_parameters(), weight_decay=0.3, exclude_bias_and_norm=True)
    assert [len(group["params"]) for group in groups] == [1, 3]
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    LARS(groups, lr=0.5, momentum=0.9).step()
    moved = [old - parameter.detach() for old, parameter in zip(before, model.parameters(), strict=True)]
    for step in moved[1:]:
        torch.testing.assert_close(step, torch.full_like(step, 0.5))
    assert moved[0].abs().max() < 0.01  # adapted: trust coefficient 0.001


def test_without_exclusion_all_parameters_share_one_group():
    groups = lower_parameter_groups(nn.Linear(4, 3).named_parameters(), 0.3, exclude_bias_and_norm=False)
    assert [(len(group["params"]), group["weight_decay"], group["adapt"]) for group in groups] == [(2, 0.3, True)]


def test_a_bad_option_is_named():
    with pytest.raises(ValueError, match=r"momentum is 1\.0"):
        LARS([nn.Parameter(torch.zeros(1))], lr=1.0, momentum=1.0)


def networks():
    """The same small network twice, with the same gradients."""
    pair = []
    for _ in range(2):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)).double()
        for parameter in model.parameters():
            parameter.data += 0.1  # no norm is zero
            parameter.grad = torch.randn_like(parameter)
        pair.append(model)
    return pair


@pytest.mark.parametrize("exclude", [True, False])
def test_a_network_steps_as_the_algorithm_says_tensor_by_tensor(exclude):
    """You, Gitman and Ginsburg 2017, algorithm 1, written out for each tensor; excluded ones step as SGD."""
    found, by_hand = networks()
    rate, momentum, decay, trust = 0.7, 0.9, 0.02, 0.001
    optimizer = LARS(
        lower_parameter_groups(found.named_parameters(), decay, exclude),
        lr=rate,
        momentum=momentum,
        trust_coefficient=trust,
    )
    buffers = [torch.zeros_like(parameter) for parameter in by_hand.parameters()]
    for _ in range(3):
        optimizer.step()
        for parameter, buffer in zip(by_hand.parameters(), buffers, strict=True):
            plain = exclude and parameter.dim() == 1
            w, g, b = parameter.detach(), parameter.grad, 0.0 if plain else decay
            ratio = 1.0 if plain else trust * float(w.norm()) / (float(g.norm()) + b * float(w.norm()))
            buffer.mul_(momentum).add_(rate * ratio * (g + b * w))
            w -= buffer
    for one, other in zip(found.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-15)


def test_tensors_that_are_left_alone_step_as_torch_s_sgd():
    found, expected = networks()
    ours = LARS(found.parameters(), lr=0.3, momentum=0.8, weight_decay=0.05, adapt=False)
    theirs = torch.optim.SGD(expected.parameters(), lr=0.3, momentum=0.8, weight_decay=0.05)
    for _ in range(3):
        ours.step()
        theirs.step()
    for one, other in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_the_loss_s_scale_does_not_change_an_adapted_step():
    one, other = networks()
    for model, scale in ((one, 1.0), (other, 1000.0)):
        for parameter in model.parameters():
            parameter.grad *= scale
        LARS(model.parameters(), lr=0.3).step()
    for first, second in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-12, atol=1e-14)
