"""The gap between two minima: exact on quadratics, near the solution on a smooth pretext loss, and scale-free."""

import dataclasses

import pytest
import torch

from bissl_ray.bilevel import BilevelTrainer, DifferencedCurvature, Level, LowerHessian, solve
from bissl_ray.bilevel.curvature.differences import reach
from bissl_ray.bilevel.curvature.vectors import flatten
from bissl_ray.bilevel.solvers import f2sa as f2sa_module
from bissl_ray.config.settings import BilevelSettings
from bissl_ray.parallel import frozen_statistics
from tests.bilevel.quadratic import ENTRIES, entries_of, hessian_of, pieces, relative_residual, rhs, symmetric, whole
from tests.bilevel.small_problem import NUMBERS, PROXIMITY, SmallProblem
from tests.processes import run_workers

WEIGHTS = [0.3, 2.0, 0.5]
MATRIX = symmetric(torch.linspace(0.1, 5, ENTRIES).tolist())


def differenced(matrix, scale=1.0):
    params = [scale * torch.ones(shape, dtype=torch.float64) for shape in ((3,), (2, 2), (1,))]
    params = [part.requires_grad_() for part in params]

    def loss():
        theta = torch.cat([part.reshape(-1) for part in params])
        return 0.5 * theta @ matrix @ theta + scale * theta.sum()

    return DifferencedCurvature([loss], params)


@pytest.mark.parametrize("weights", [0.7, WEIGHTS])
def test_on_a_quadratic_it_is_the_exact_solution(weights):
    each = [weights] * 3 if isinstance(weights, float) else weights
    M = torch.diag(entries_of(each) + 0.2)
    D = differenced(MATRIX)
    s = solve(D, pieces(rhs()), weights, 0.2, "f2sa", 200, 1e-8)
    torch.testing.assert_close(whole(s.x), M @ torch.linalg.solve(M + MATRIX, rhs()), rtol=1e-6, atol=1e-6)
    assert s.report.stopped_because == "tolerance"
    assert s.report.products == D.products == len(s.report.residuals) - 1
    assert s.report.residuals == sorted(s.report.residuals, reverse=True)
    # By products alone it is the limit for σ → ∞.
    limit = solve(hessian_of(MATRIX), pieces(rhs()), weights, 0.2, "f2sa", 200, 1e-8)
    torch.testing.assert_close(whole(s.x), whole(limit.x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("iterations", [1, 3])
def test_few_gradients_do_what_as_many_steps_of_least_residual_do(iterations):
    A, v = MATRIX + torch.diag(entries_of(WEIGHTS) + 0.2), rhs()
    x = torch.zeros_like(v)
    for _ in range(iterations):
        r = v - A @ x
        x = x + (r @ A @ r) / (A @ r).square().sum() * r
    s = solve(differenced(MATRIX), pieces(v), WEIGHTS, 0.2, "f2sa", iterations)
    torch.testing.assert_close(s.inverse, x, rtol=1e-7, atol=1e-7)
    assert s.report.residual == pytest.approx(relative_residual(A, s.inverse, v), rel=1e-6)
    for factor in (1e-8, 1e8):
        other = solve(differenced(MATRIX, factor), pieces(factor * v), WEIGHTS, 0.2, "f2sa", iterations)
        torch.testing.assert_close(other.inverse / factor, s.inverse, rtol=1e-6, atol=1e-6)


def test_on_a_smooth_pretext_loss_it_goes_to_the_exact_solution_as_the_displacement_shrinks(monkeypatch):
    problem = SmallProblem()
    views, params = next(problem.views), list(problem.lower.parameters())
    v = torch.autograd.grad(problem.upper_loss(problem.lower, next(problem.labelled)), params)

    def loss():
        return problem.lower_loss(views)

    errors = []
    with frozen_statistics(problem.lower, problem.pretext_head):
        exact = flatten(solve(LowerHessian(loss(), params), v, PROXIMITY, 15.0, "minres", 60, 1e-11).x)
        for share in (1.0, 0.1):
            monkeypatch.setattr(f2sa_module, "reach", lambda params, share=share: share * reach(params))
            found = solve(DifferencedCurvature([loss], params), v, PROXIMITY, 15.0, "f2sa", 200, 1e-7)
            assert found.report.stopped_because == "tolerance"
            errors.append(float((flatten(found.x) - exact).norm() / exact.norm()))
    assert errors[0] < 1e-3
    assert errors[1] == pytest.approx(0.1 * errors[0], rel=0.1)  # to one side: in proportion


def test_negative_curvature_and_broken_losses():
    s = solve(differenced(-5.0 * torch.eye(ENTRIES, dtype=torch.float64)), pieces(rhs()), 0.5, 0.5, "f2sa", 3, 1e-6)
    assert s.report.negative_curvature == 1
    torch.testing.assert_close(s.inverse, rhs() / -4.0, rtol=1e-6, atol=1e-6)
    broken = solve(differenced(MATRIX * float("inf")), pieces(rhs()), 0.5, 0.5, "f2sa", 3)
    assert broken.report.stopped_because == "non_finite" and whole(broken.x).eq(0).all()


class FirstOrder(SmallProblem):
    """The small problem, its curvature by gradients alone."""

    def __init__(self, *args, **numbers):
        super().__init__(*args, **numbers)
        self.trainer = BilevelTrainer(
            Level(self.lower, self.pretext_head, lambda _, batch: self.lower_loss(batch), curvature=self.curvature),
            Level(self.upper, self.downstream_head, self.upper_loss),
            BilevelSettings(**{**NUMBERS, **numbers}),
            PROXIMITY,
        )

    def curvature(self, batch):
        return DifferencedCurvature([lambda: self.lower_loss(batch)], list(self.lower.parameters()))


def alternations(worker, workers, solver):
    problem = FirstOrder(worker, workers, solver=solver)
    reports = [dataclasses.asdict(problem.alternate()) for _ in range(2)]
    return problem.states(), [report["hvps"] for report in reports]


@pytest.mark.parametrize("solver", ["f2sa", "cg"])
def test_two_workers_equal_one(solver):
    states, hvps = alternations(0, 1, solver)
    for found in run_workers(alternations, 2, solver):
        torch.testing.assert_close(found[0], states, rtol=1e-9, atol=1e-9)
        assert found[1] == hvps


def test_an_alternation_by_differences_is_one_by_double_backward():
    states, _ = alternations(0, 1, "cg")
    problem = SmallProblem()
    for _ in range(2):
        problem.alternate()
    torch.testing.assert_close(states, problem.states(), rtol=1e-6, atol=1e-7)
