"""A solve that starts from the last alternation's solution: no worse than from 0, and part of the trainer's state."""

import copy

import pytest
import torch

from bissl_ray.bilevel import KnownProducts
from bissl_ray.bilevel.alternation_solve import solve_in_alternation
from bissl_ray.config.settings import SolverSettings
from tests.bilevel.quadratic import hessian_of, pieces, random_eigenvalues, relative_residual, rhs, symmetric, whole
from tests.bilevel.small_problem import SmallProblem

ENTRIES = 30
METHODS = ["cg", "minres", "neumann"]


def chosen(method, **numbers):
    return SolverSettings(**{"solver": method, "damping": 1.0, "reuse_solution": True, "cg_iterations": 2, **numbers})


def first_solve(A, v, carried, settings):
    H = hessian_of(A)
    known = KnownProducts.between_solves(6, settings.solver, settings.cg_tolerance)
    known.carried = carried
    return H, known, solve_in_alternation(H, pieces(v), 0.2, settings, known)


@pytest.mark.parametrize("tolerance", [0.0, 0.02])
@pytest.mark.parametrize("method", METHODS)
def test_a_system_that_stayed_is_solved_by_the_one_product_that_tells(method, tolerance):
    A, v = symmetric(random_eigenvalues(1, ENTRIES, 0.5, 20.0)), rhs(3, ENTRIES)
    M = 1.2 * torch.eye(ENTRIES, dtype=torch.float64)
    # Another length, and another v: the best multiple is found.
    solution = torch.linalg.solve(M + A, v)
    H, known, found = first_solve(A, -3.0 * v, 0.25 * solution, chosen(method, cg_tolerance=max(tolerance, 1e-10)))
    torch.testing.assert_close(found.inverse, -3.0 * solution, rtol=1e-9, atol=1e-9)
    assert found.report.stopped_because == "tolerance"
    assert found.report.products == H.products == 1
    assert known.carried is None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_it_helps_where_systems_are_alike_and_never_harms_the_start(method, seed):
    A = symmetric(random_eigenvalues(seed, ENTRIES, 0.5, 20.0), seed)
    drift = 0.02 * symmetric(torch.linspace(-1, 1, ENTRIES), seed + 9)
    before = torch.linalg.solve(A + 1.2 * torch.eye(ENTRIES, dtype=torch.float64), rhs(5, ENTRIES))
    settings = chosen(method, cg_tolerance=0.0)
    for v, alike in ((rhs(5, ENTRIES) + 0.02 * rhs(6, ENTRIES), True), (rhs(7, ENTRIES), False)):
        _, _, warm = first_solve(A + drift, v, before, settings)
        _, _, cold = first_solve(A + drift, v, None, settings)
        assert warm.report.residuals[0] <= 1.0 == cold.report.residuals[0]
        assert warm.report.residual == pytest.approx(
            relative_residual(A + drift + 1.2 * torch.eye(ENTRIES, dtype=torch.float64), warm.inverse, v), rel=1e-6
        )
        if alike:
            assert warm.report.residual < 0.2 * cold.report.residual
            assert warm.report.products <= cold.report.products + 1


@pytest.mark.parametrize("method", ["cg", "minres"])
def test_it_goes_with_a_damping_that_is_found_first(method):
    A, settings = symmetric(random_eigenvalues(1, ENTRIES, 0.5, 20.0)), chosen(method, damping_relative=0.5)
    H, _, found = first_solve(A, rhs(5, ENTRIES), rhs(6, ENTRIES), settings)
    assert found.report.products == H.products <= 4 + settings.cg_iterations
    M = (0.2 + found.report.damping) * torch.eye(ENTRIES, dtype=torch.float64)
    settings = settings.model_copy(update={"cg_iterations": 60, "cg_tolerance": 1e-11})
    _, _, found = first_solve(A, rhs(5, ENTRIES), rhs(6, ENTRIES), settings)
    expected = M @ torch.linalg.solve(M + A, rhs(5, ENTRIES))
    torch.testing.assert_close(whole(found.x), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("carried", [0.0, float("nan")])
def test_a_solution_that_is_none_costs_nothing(carried):
    A, v = symmetric(random_eigenvalues(1, ENTRIES, 0.5, 20.0)), rhs(3, ENTRIES)
    H, _, found = first_solve(A, v, carried * v, chosen("cg"))
    assert torch.equal(found.inverse, first_solve(A, v, None, chosen("cg"))[2].inverse)
    assert found.report.products == H.products


def test_a_trainer_keeps_one_vector_where_it_is_reused():
    problem, without = SmallProblem(reuse_solution=True), SmallProblem()
    assert problem.alternate() == without.alternate()  # there is none yet
    entries = sum(parameter.numel() for parameter in problem.lower.parameters())
    assert problem.trainer.state_dict()["solution"].shape == (entries,)
    assert without.trainer.state_dict()["solution"] is None
    other = SmallProblem(reuse_solution=True, solver="layerwise_cg")
    other.alternate()
    assert other.trainer.state_dict()["solution"] is None


def test_progress_saved_before_there_was_a_solution_still_opens():
    problem = SmallProblem(reuse_solution=True)
    problem.alternate()
    state = copy.deepcopy(problem.trainer.state_dict())
    del state["solution"]
    problem.trainer.load_state_dict(state)
    assert problem.alternate().alternation == 2
