"""Products by differences of gradients against double backward, and that θ and statistics are as before to the bit."""

import pytest
import torch

from bissl_ray.bilevel import DifferencedCurvature, DisplacedLoss, GradientGraph, LowerHessian, RecomputedHessian
from bissl_ray.bilevel.curvature.memory import curvature_memory
from bissl_ray.bilevel.curvature.vectors import flatten
from bissl_ray.config.settings import Settings
from bissl_ray.parallel import frozen_statistics, mean_over_workers
from tests.bilevel.small_problem import SmallProblem
from tests.processes import run_workers


def vector_like(params, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(sum(part.numel() for part in params), dtype=torch.float64, generator=generator)


def small(worker=0, workers=1):
    """The smooth problem with batch norm: θ, and its loss on one batch."""
    problem = SmallProblem(worker, workers)
    views = next(problem.views)
    return problem, list(problem.lower.parameters()), lambda: problem.lower_loss(views)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_products_and_changes_are_those_of_double_backward(scale):
    problem, params, loss = small()
    with frozen_statistics(problem.lower, problem.pretext_head):
        H, D = LowerHessian(loss(), params), DifferencedCurvature([loss], params)
        v = scale * vector_like(params)
        exact = H.flat_matvec(v)
    # In place, θ moves: what is compared with was computed before.
    with frozen_statistics(problem.lower, problem.pretext_head):
        assert float((D.flat_matvec(v) - exact).norm() / exact.norm()) < 1e-8
        near = 1e-7 / scale * v
        assert float((D.flat_change(near) - 1e-7 / scale * exact).norm() / (1e-7 / scale * exact).norm()) < 1e-5
        torch.testing.assert_close(flatten(D.gradient), flatten(H.gradient), rtol=1e-12, atol=1e-14)
    assert (D.products, float(D.loss)) == (2, float(H.loss))
    assert D.flat_matvec(0 * v).eq(0).all()


def test_chunks_are_averaged_as_by_double_backward():
    problem, params, _ = small()
    views = next(problem.views)
    losses = [lambda: problem.lower_loss(views[:4]), lambda: problem.lower_loss(views[4:])]
    v = vector_like(params)
    with frozen_statistics(problem.lower, problem.pretext_head):
        exact = RecomputedHessian(losses, params).flat_matvec(v)
        found = DifferencedCurvature(losses, params).flat_matvec(v)
    assert float((found - exact).norm() / exact.norm()) < 1e-6


class InterruptedGradientError(Exception):
    pass


def test_theta_and_statistics_are_as_before_also_where_an_error_passes():
    problem, params, loss = small()
    before = [{name: t.clone() for name, t in module.state_dict().items()} for module in problem.modules()]
    v = vector_like(params)
    with frozen_statistics(problem.lower, problem.pretext_head):
        D = DifferencedCurvature([loss], params)
        D.flat_matvec(v)
        D.flat_change(v)
        displaced = []

        def breaks():
            displaced.append(not torch.equal(params[0], before[0]["0.weight"]))
            if displaced[-1]:
                raise InterruptedGradientError
            return loss()

        broken = DisplacedLoss(breaks, params)
        with pytest.raises(InterruptedGradientError):
            broken.product(v, retain=False)
        assert displaced == [False, True]
    for module, state in zip(problem.modules(), before, strict=True):
        assert all(torch.equal(module.state_dict()[name], state[name]) for name in state)


def test_closed_and_empty_ones_are_named():
    _, params, loss = small()
    D = DifferencedCurvature([loss], params)
    D.close()
    with pytest.raises(RuntimeError, match="was closed"):
        D.flat_matvec(vector_like(params))
    with pytest.raises(ValueError, match="at least one loss"):
        DifferencedCurvature([], params)


def product_on(worker, workers):
    problem, params, loss = small(worker, workers)
    with frozen_statistics(problem.lower, problem.pretext_head):
        D, v = DifferencedCurvature([loss], params), vector_like(params)
        return D.flat_matvec(v), D.flat_change(1e-3 * v), mean_over_workers([D.loss])[0]


def test_two_workers_equal_one():
    alone = product_on(0, 1)
    for found in run_workers(product_on, 2):
        # A difference of gradients that agree to rounding, 1e-15, is divided by the displacement, 1e-5 of ‖θ‖.
        torch.testing.assert_close(found, alone, rtol=1e-8, atol=1e-9)


def test_it_takes_the_memory_of_a_gradient_by_estimate_too():
    net = torch.nn.Sequential(torch.nn.Linear(40, 50), torch.nn.Tanh(), torch.nn.Linear(50, 20))
    params = list(net.parameters())
    values = [parameter.detach().clone() for parameter in params]

    def loss():
        return net(torch.ones(300, 40)).square().mean()

    by_difference = curvature_memory(lambda: DisplacedLoss(loss, params), params, True, 0)
    by_graph = curvature_memory(lambda: GradientGraph(loss(), params), params, True, 0)
    assert by_difference.held < 0.1 * by_graph.held and by_difference.peak < by_graph.peak
    assert all(torch.equal(one, other) for one, other in zip(params, values, strict=True))


def test_what_knows_no_second_derivative_is_no_gauss_newton_matrix():
    for choice in ({"curvature_products": "difference"}, {"solver": "f2sa"}):
        assert Settings(**choice).first_order
        with pytest.raises(ValueError, match="expected hessian: differences of gradients tell of no other matrix"):
            Settings(curvature="gauss_newton", **choice)
    assert not Settings().first_order
