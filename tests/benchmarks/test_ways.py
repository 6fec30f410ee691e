"""The ways that `bench hypergradient` compares: every solver has a row, and SAMA's ratios are those of a lower step."""

import pytest
import torch

from bissl_ray.benchmarks.problem import Problem, Question, build_problem
from bissl_ray.benchmarks.ways import ways
from bissl_ray.config.names import SOLVERS
from bissl_ray.training.worker import alone

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def problem() -> Problem:
    return build_problem(Question("smallconv", 16, 8, 1, 1, None), alone(torch.device("cpu")))


def test_every_solver_has_a_row(problem: Problem) -> None:
    # The Neumann series is the unrolled gradient with another step.
    assert {way.method for way in ways(problem, True, False)} == set(SOLVERS) - {"neumann"}


def test_trust_ratios_are_those_of_a_lower_step(problem: Problem) -> None:
    before = [parameter.detach().clone() for parameter in problem.params]
    gradients = torch.autograd.grad(problem.loss(), problem.params)
    for ratio, w, g in zip(problem.trust_ratios(), problem.params, gradients, strict=True):
        expected = 1.0 if w.dim() < 2 else 0.001 * w.detach().norm() / (g.norm() + 1e-6 * w.detach().norm())
        assert float(ratio) == pytest.approx(float(expected), rel=1e-5)
    assert all(torch.equal(*pair) for pair in zip(before, problem.params, strict=True))
    assert all(parameter.grad is None for parameter in problem.params)
