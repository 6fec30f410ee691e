import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bissl_ray.bilevel import GaussNewton, LowerHessian, solve

INPUTS = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(6) % 3
TARGETS = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def squared_distance(outputs):
    return (outputs - TARGETS).square().sum(1).mean()


def cross_entropy(outputs):
    return F.cross_entropy(outputs, LABELS)


def linear_net():
    torch.manual_seed(0)
    return nn.Linear(4, 3).double()


def curved_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).double()


def gauss_newton(net, criterion):
    return GaussNewton(net(INPUTS), criterion, list(net.parameters()))


def dense(operator):
    """The matrix, column by column."""
    entries = sum(parameter.numel() for parameter in operator.params)
    columns = [operator.flat_matvec(column) for column in torch.eye(entries, dtype=torch.float64)]
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize("criterion", [squared_distance, cross_entropy])
def test_where_outputs_are_linear_in_the_parameters_it_is_the_hessian(criterion):
    net = linear_net()
    found = gauss_newton(net, criterion)
    expected = LowerHessian(criterion(net(INPUTS)), list(net.parameters()))
    torch.testing.assert_close(dense(found), dense(expected), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found.loss, expected.loss)
    assert found.products == 15


@pytest.mark.parametrize("criterion", [squared_distance, cross_entropy])
def test_it_is_made_of_the_jacobian_and_has_no_negative_curvature_where_the_hessian_has(criterion):
    net = curved_net()
    names = [name for name, _ in net.named_parameters()]

    def outputs(*values):
        return torch.func.functional_call(net, dict(zip(names, values, strict=True)), INPUTS)

    jacobians = torch.autograd.functional.jacobian(outputs, tuple(net.parameters()))
    J = torch.cat([part.reshape(18, -1) for part in jacobians], dim=1)
    inner = torch.autograd.functional.hessian(criterion, net(INPUTS).detach()).reshape(18, 18)
    G = dense(gauss_newton(net, criterion))
    torch.testing.assert_close(G, J.T @ inner @ J, rtol=1e-10, atol=1e-12)
    H = dense(LowerHessian(criterion(net(INPUTS)), list(net.parameters())))
    assert torch.linalg.eigvalsh(H)[0] < -1e-3
    assert torch.linalg.eigvalsh((G + G.T) / 2)[0] > -1e-12


def test_solves_meet_no_negative_curvature():
    net = curved_net()
    v = [torch.randn_like(parameter) for parameter in net.parameters()]
    hessian = LowerHessian(cross_entropy(net(INPUTS)), list(net.parameters()))
    assert solve(hessian, v, 0.0, 1e-3, iterations=60).report.negative_curvature == 1
    report = solve(gauss_newton(net, cross_entropy), v, 0.0, 1e-3, iterations=60, tolerance=1e-8).report
    assert (report.negative_curvature, report.stopped_because) == (0, "tolerance")


def test_a_linear_criterion_has_none_and_bad_ones_are_named():
    net = linear_net()
    params, outputs = list(net.parameters()), net(INPUTS)
    assert dense(GaussNewton(outputs, torch.sum, params)).eq(0).all()
    with pytest.raises(ValueError, match="the output has no graph"):
        GaussNewton(outputs.detach(), cross_entropy, params)
    with pytest.raises(ValueError, match=r"the output does not use parameter 2 of shape \(2,\)"):
        GaussNewton(outputs, cross_entropy, [*params, torch.zeros(2, dtype=torch.float64, requires_grad=True)])
    with pytest.raises(ValueError, match=r"the criterion has shape \(6,\): expected a scalar"):
        GaussNewton(outputs, lambda judged: judged.sum(1), params)
    with pytest.raises(ValueError, match="the criterion has no graph"):
        GaussNewton(outputs, lambda judged: judged.detach().sum(), params)
    with GaussNewton(outputs, cross_entropy, params) as G:
        pass
    with pytest.raises(RuntimeError, match=r"freed by close.*build a new GaussNewton"):
        G.matvec(tuple(params))
