import pytest
import torch
from torch import nn

from bissl_ray.bilevel import GradientGraph, KnownProducts, LowerHessian, OutputGraph, solve
from bissl_ray.bilevel.curvature.memory import PeakBytes, curvature_memory, solver_vectors
from bissl_ray.config.settings import SolverSettings
from bissl_ray.models import build_backbone
from bissl_ray.parallel import frozen_statistics
from bissl_ray.pretext import SimCLR


def test_bytes_are_counted_once_until_their_storage_is_freed():
    before = torch.zeros(1000)
    with PeakBytes() as peak:
        first = before + 1
        assert peak.live == 4000
        view, second = first[10:], first.double()
        second.add_(1)
        assert peak.live == 12000
        del first
        assert peak.live == 12000  # the view holds it
        del view
        assert (peak.live, peak.bytes) == (8000, 12000)
        before[5:].mul_(2)
    assert (peak.live, peak.bytes) == (8000, 12000)


def test_bytes_that_autograd_keeps_are_counted():
    x = torch.ones(1000, requires_grad=True)
    with PeakBytes() as peak:
        y = x.exp().sin()  # keeps exp(x), which sin's backward needs
        assert peak.live == 8000
        torch.autograd.grad(y.sum(), x)
        assert peak.live == 4000


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    backbone = build_backbone("resnet18")
    return backbone, SimCLR(backbone.feature_dim, 256, 256, 0.5, "synchronised")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hessian", "gauss_newton"])
def test_the_estimate_is_what_a_real_run_takes(networks, kind):
    """ResNet-18, 32 pixels, batch 8: a graph that is kept, and one that is rebuilt."""
    backbone, task = networks
    params = list(backbone.parameters())

    def build():
        views = (torch.randn(8, 3, 32, 32), torch.randn(8, 3, 32, 32))
        if kind == "hessian":
            return GradientGraph(task.loss(backbone, views), params)
        outputs, partners = task.outputs(backbone, views)
        return OutputGraph(outputs, lambda judged: task.criterion(judged, partners), params)

    vector = torch.randn(sum(parameter.numel() for parameter in params))
    with frozen_statistics(backbone, task):
        kept = curvature_memory(build, params, True, vectors=32)
        rebuilt = curvature_memory(build, params, False, vectors=0)
        with PeakBytes() as real:
            graph = build()
            held = real.live
            graph.product(vector, retain=True)
        peak = real.bytes
        del graph
        with PeakBytes() as real:
            build().product(vector, retain=False)
    assert kept.held == pytest.approx(held, rel=0.15)
    assert kept.peak == pytest.approx(peak, rel=0.15)
    assert rebuilt.held == 0
    assert rebuilt.peak == pytest.approx(real.bytes, rel=0.15)
    assert (kept.vectors, rebuilt.vectors) == (32 * vector.nbytes, 0)
    assert kept.total == kept.peak + kept.vectors


def vectors(method, iterations, tolerance, recycled, solves, **others):
    settings = SolverSettings(
        solver=method, cg_iterations=iterations, cg_tolerance=tolerance, recycled_products=recycled, **others
    )
    return solver_vectors(settings, solves)


def test_vectors_of_solves_are_counted():
    assert vectors("cg", 5, 0.0, 16, 8) >= 2 * 16 + 5
    assert 16 <= vectors("cg", 5, 0.01, 16, 8) <= 16 + 14
    assert vectors("cg", 5, 0.0, 0, 1) < 20
    assert vectors("identity", 5, 0.0, 16, 8) < 10
    # No more than what one more solve of the same kind really takes, with another matrix.
    theta = torch.linspace(1, 2, 50_000, requires_grad=True)
    H, known = LowerHessian((theta**4).sum(), [theta]), KnownProducts(8)
    with PeakBytes() as real:
        for _ in range(3):
            solve(H, [torch.randn(50_000)], 0.1, 1.0, "cg", 6, known=known)
    own_vectors_of_a_product = 4
    counted = vectors("cg", 6, 0.0, 8, 3)
    assert counted - 3 <= real.bytes / theta.nbytes <= counted + own_vectors_of_a_product


def test_real_modules_are_left_as_they_are():
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    params = list(net.parameters())
    values = [parameter.detach().clone() for parameter in params]
    curvature_memory(lambda: GradientGraph(net(torch.ones(3, 4)).square().mean(), params), params, True, 0)
    assert all(torch.equal(one, other) for one, other in zip(params, values, strict=True))
