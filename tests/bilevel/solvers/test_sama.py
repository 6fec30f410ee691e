"""The lower optimizer's scaling in place of the inverse: what the scaling is, and what is made of it."""

import dataclasses

import pytest
import torch
from torch import nn

from bissl_ray.bilevel import solve
from bissl_ray.optim import LARS
from tests.bilevel.quadratic import ENTRIES, entries_of, hessian_of, pieces, rhs, whole
from tests.bilevel.small_problem import SmallProblem
from tests.processes import run_workers

WEIGHTS, RATIOS = [0.3, 2.0, 0.5], [0.02, 0.001, 1.0]


@pytest.mark.parametrize("proximity", [0.7, WEIGHTS])
def test_each_tensor_is_scaled_by_its_ratio_and_the_whole_to_the_length_of_v(proximity):
    H = hessian_of(torch.eye(ENTRIES, dtype=torch.float64))
    H.adaptation = [torch.tensor(ratio, dtype=torch.float64) for ratio in RATIOS]
    M = entries_of([proximity] * 3 if isinstance(proximity, float) else proximity) + 0.2
    found = solve(H, pieces(rhs()), proximity, 0.2, "sama", 5)
    expected = M * entries_of(RATIOS) * rhs()
    torch.testing.assert_close(whole(found.x), expected * rhs().norm() / expected.norm())
    assert (H.products, found.report.products, found.report.residual) == (0, 0, None)
    H.adaptation = None
    plain = solve(H, pieces(rhs()), 0.7, 0.2, "sama", 5)
    torch.testing.assert_close(whole(plain.x), rhs())


def test_ratios_are_the_derivative_of_a_lars_step_by_its_gradient_across_it():
    weight, gradient = rhs(1).view(2, 4), rhs(2).view(2, 4)
    across = rhs(3).view(2, 4)
    across -= (across * gradient).sum() / gradient.square().sum() * gradient

    def step(slope):
        parameter = nn.Parameter(weight.clone())
        optimizer = LARS([parameter], lr=1.0, momentum=0.0)
        assert optimizer.ratios([parameter]) == [1]
        parameter.grad = slope
        optimizer.step()
        return weight - parameter.detach(), optimizer.ratios([parameter])[0]

    _, ratio = step(gradient)
    ends = [step(gradient + side * 1e-5 * across)[0] for side in (1, -1)]
    torch.testing.assert_close((ends[0] - ends[1]) / 2e-5, ratio * across, rtol=1e-8, atol=1e-11)  # rounding over 2e-5


class Noting(SmallProblem):
    """Notes the ratios that the solves see."""

    def adaptation(self):
        with self.trainer._lower.curvature(next(self.views)) as operator:
            return operator.adaptation


def test_the_lower_level_says_them_and_nothing_is_built_for_them():
    problem = Noting(solver="sama")
    report = problem.alternate()
    ratios = dict(zip([n for n, _ in problem.lower.named_parameters()], problem.adaptation(), strict=True))
    assert {name for name, ratio in ratios.items() if ratio == 1} == {
        n for n in ratios if n not in ("0.weight", "3.weight")
    }
    assert 0 < ratios["0.weight"] < 0.1
    assert (report.hvps, report.cg_residual) == (0, None)
    assert 0 < report.hypergradient_cosine < 1 - 1e-6
    assert Noting(solver="sama", lower_optimizer="sgd").alternate().hypergradient_cosine == pytest.approx(1)


def alternations(worker, workers):
    problem = SmallProblem(worker, workers, solver="sama")
    return [dataclasses.asdict(problem.alternate())["hvps"] for _ in range(3)], problem.states()


def test_two_workers_equal_one():
    alone = alternations(0, 1)
    for found in run_workers(alternations, 2):
        assert found[0] == alone[0]
        torch.testing.assert_close(found[1], alone[1], rtol=1e-9, atol=1e-11)
