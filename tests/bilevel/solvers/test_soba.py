"""Gradient steps that are carried on: the recursion by hand, its limit, its products, and its place in the trainer."""

import copy
import dataclasses
import itertools

import pytest
import torch

from bissl_ray.bilevel import KnownProducts, solve
from tests.bilevel.quadratic import (
    entries_of,
    hessian_of,
    pieces,
    random_eigenvalues,
    relative_residual,
    rhs,
    symmetric,
    whole,
)
from tests.bilevel.small_problem import SmallProblem
from tests.processes import run_workers

ENTRIES = 30
WEIGHTS = [0.3, 2.0, 0.5]


def matrix(seed=1, smallest=0.5):
    H = symmetric(random_eigenvalues(seed, ENTRIES, smallest, 20.0), seed)
    return H, H + torch.diag(entries_of(WEIGHTS, ENTRIES) + 0.1)


@pytest.mark.parametrize("iterations", [1, 3])
def test_each_upper_step_goes_on_by_the_recursion(iterations):
    H, A = matrix()
    operator, known, z = hessian_of(H), KnownProducts(0), torch.zeros(ENTRIES, dtype=torch.float64)
    for step in range(4):
        v = (step + 1) * rhs(step, ENTRIES)
        found = solve(operator, pieces(v), WEIGHTS, 0.1, "soba", iterations, known=known)
        assert found.report.residuals[0] == pytest.approx(relative_residual(A, z, v))
        for _ in range(iterations):
            r = v - A @ z
            z = z + (r @ A @ r) / (A @ r).square().sum() * r
        torch.testing.assert_close(found.inverse, z, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(whole(found.x), (entries_of(WEIGHTS, ENTRIES) + 0.1) * z, rtol=1e-10, atol=1e-10)
        assert found.report.residual == pytest.approx(relative_residual(A, z, v))
        assert found.report.products == iterations
    # Another alternation: the matrix is another, which takes one product to see.
    after = KnownProducts(0)
    after.carried = known.carried
    other, B = matrix(7)
    v = rhs(9, ENTRIES)
    found = solve(hessian_of(other), pieces(v), WEIGHTS, 0.1, "soba", iterations, known=after)
    for _ in range(iterations):
        r = v - B @ z
        z = z + (r @ B @ r) / (B @ r).square().sum() * r
    torch.testing.assert_close(found.inverse, z, rtol=1e-10, atol=1e-10)
    assert found.report.products == iterations + 1


@pytest.mark.parametrize("smallest", [0.5, -3.0])
def test_one_step_at_a_time_reaches_the_solution_and_the_residual_never_grows(smallest):
    H, A = matrix(smallest=0.5)
    if smallest < 0:
        H = H - torch.outer(H[0], H[0]) * 2.0 / H[0].dot(H[0])
        A = H + torch.diag(entries_of(WEIGHTS, ENTRIES) + 0.1)
    operator, known, v = hessian_of(H), KnownProducts(0), rhs(3, ENTRIES)
    residuals = []
    for _ in range(400):
        report = solve(operator, pieces(v), WEIGHTS, 0.1, "soba", 1, known=known).report
        residuals += report.residuals
    assert all(later <= sooner * (1 + 1e-9) + 1e-13 for sooner, later in itertools.pairwise(residuals))
    if smallest > 0:
        assert residuals[-1] < 1e-9
        expected = torch.linalg.solve(A, v)
        torch.testing.assert_close(known.carried, expected, rtol=1e-6, atol=1e-8)


def test_directions_of_negative_curvature_are_counted_and_lessen_the_residual():
    found = solve(hessian_of(-5.0 * torch.eye(8, dtype=torch.float64)), pieces(rhs()), 0.5, 0.5, "soba", 3)
    assert found.report.negative_curvature == 1
    torch.testing.assert_close(found.inverse, rhs() / -4.0)
    assert found.report.stopped_because == "tolerance"


def test_numbers_that_are_none_are_not_carried_on():
    known = KnownProducts(0)
    broken = hessian_of(torch.full((8, 8), torch.inf, dtype=torch.float64))
    found = solve(broken, pieces(rhs()), 0.5, 0.5, "soba", 1, known=known)
    assert found.report.stopped_because == "non_finite" and known.carried is None
    assert whole(found.x).eq(0).all()


def test_the_trainer_carries_it_across_alternations_and_through_saved_progress():
    straight, stopped = (SmallProblem(solver="soba", cg_iterations=1, cg_tolerance=0.0) for _ in range(2))
    reports = [straight.alternate() for _ in range(2)]
    assert [report.hvps for report in reports] == [2, 3]  # two upper steps, and A z at the second's start
    stopped.alternate()
    saved = copy.deepcopy((stopped.states(), stopped.trainer.state_dict(), stopped.views, stopped.labelled))
    resumed = SmallProblem(solver="soba", cg_iterations=1, cg_tolerance=0.0)
    for module, state in zip(resumed.modules(), saved[0], strict=True):
        module.load_state_dict(state)
    resumed.trainer.load_state_dict(saved[1])
    resumed.views, resumed.labelled = saved[2:]
    assert resumed.alternate() == reports[1]
    for one, other in zip(straight.states(), resumed.states(), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def alternations(worker, workers):
    problem = SmallProblem(worker, workers, solver="soba", cg_iterations=1, cg_tolerance=0.0)
    reports = [dataclasses.asdict(problem.alternate()) for _ in range(3)]
    return problem.states(), problem.trainer.state_dict()["solution"], reports


def test_two_workers_equal_one():
    states, solution, reports = alternations(0, 1)
    for found in run_workers(alternations, 2):
        torch.testing.assert_close(found[0], states, rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(found[1], solution, rtol=1e-9, atol=1e-11)
        assert [report["hvps"] for report in found[2]] == [report["hvps"] for report in reports]
