"""Damping that is a share of the largest Ritz value of H: what it comes to, what it costs, what stays the same."""

import pytest
import torch

from bissl_ray.bilevel import KnownProducts, solve
from bissl_ray.bilevel.alternation_solve import solve_in_alternation
from bissl_ray.config.names import SOLVERS
from bissl_ray.config.settings import Settings, SolverSettings
from bissl_ray.errors import BadInputError
from tests.bilevel.quadratic import ENTRIES, hessian_of, pieces, random_eigenvalues, rhs, symmetric, whole
from tests.bilevel.small_problem import SmallProblem

# Three eigenvalues: three Lanczos steps find them all.
THREE = [1.0, 1.0, 1.0, 4.0, 4.0, 4.0, 20.0, 20.0]
NEGATIVE = [-30.0, 1.0, 1.0, 4.0, 4.0, 4.0, 4.0, 4.0]
WEIGHTS = [0.3, 2.0, 0.5]


def chosen(**numbers):
    return SolverSettings(**{"damping": 0.5, "damping_relative": 0.25, "cg_tolerance": 0.0, **numbers})


@pytest.mark.parametrize("proximity", [0.2, WEIGHTS])
@pytest.mark.parametrize(("eigenvalues", "strength"), [(THREE, 20.0), (NEGATIVE, 30.0)])
def test_it_is_the_share_of_the_largest_eigenvalue_in_magnitude(eigenvalues, strength, proximity):
    H, settings, known = hessian_of(symmetric(eigenvalues)), chosen(cg_iterations=20), KnownProducts(6)
    found = solve_in_alternation(H, pieces(rhs()), proximity, settings, known)
    assert found.report.damping == pytest.approx(0.5 + 0.25 * strength)
    expected = solve(hessian_of(symmetric(eigenvalues)), pieces(rhs()), proximity, found.report.damping, "cg", 20)
    if eigenvalues is THREE:
        torch.testing.assert_close(whole(found.x), whole(expected.x), rtol=1e-9, atol=1e-9)
    assert found.report.products == H.products


def test_a_share_of_one_makes_the_matrix_positive_definite():
    H = hessian_of(symmetric(NEGATIVE))
    report = solve_in_alternation(H, pieces(rhs()), 0.2, chosen(damping_relative=1.0), KnownProducts(6)).report
    assert report.stopped_because != "negative_curvature" and report.negative_curvature == 0
    assert report.curvature[0] > 0


@pytest.mark.parametrize("method", SOLVERS)
@pytest.mark.parametrize("tolerance", [0.0, 0.05])
def test_the_answer_does_not_depend_on_the_scale_of_the_loss(method, tolerance):
    """Λ = 0 and no other damping: neither x nor what it takes changes with the loss's scale."""
    A = symmetric(random_eigenvalues(3, ENTRIES, 0.5, 40.0))
    settings = chosen(damping=0.0, solver=method, cg_iterations=4, cg_tolerance=tolerance)
    found = []
    for scale in (1.0, 1e-4, 1e4):
        known = KnownProducts.between_solves(4, method, tolerance)
        H = hessian_of(scale * A)
        found.append([solve_in_alternation(H, pieces(rhs(s)), 0.0, settings, known) for s in (1, 2, 3)])
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            torch.testing.assert_close(whole(one.x), whole(other.x), rtol=1e-8, atol=1e-8)
            assert one.report.products == other.report.products


@pytest.mark.parametrize("method", [name for name in SOLVERS if name != "identity"])
def test_its_products_are_taken_once_and_counted(method):
    H, known = hessian_of(symmetric(THREE)), KnownProducts.between_solves(4, method, 0.05)
    settings = chosen(solver=method, cg_tolerance=0.05)
    reports = [solve_in_alternation(H, pieces(rhs(s)), 0.2, settings, known).report for s in (1, 2, 3)]
    assert sum(report.products for report in reports) == H.products
    assert len({report.damping for report in reports}) == 1
    alone, others = hessian_of(symmetric(THREE)), KnownProducts.between_solves(4, method, 0.05)
    for seed, report in zip((1, 2, 3), reports, strict=True):
        solve(alone, pieces(rhs(seed)), 0.2, report.damping, method, 5, 0.05, others)
    assert H.products <= alone.products + 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tolerance", [1e-4, 0.02])
@pytest.mark.parametrize("seed", range(3))
def test_conjugate_gradients_have_its_products_for_nothing(dtype, tolerance, seed):
    """With one weight, they are those of the first solve: pairs rounded or not."""
    A = symmetric(random_eigenvalues(seed, 40, 0.5, 40.0)).to(dtype)
    settings = chosen(cg_iterations=30, cg_tolerance=tolerance, damping=4.0)
    H, known = hessian_of(A), KnownProducts.between_solves(6, "cg", tolerance)
    sides = [rhs(10 * seed + s, 40).to(dtype) for s in range(4)]
    reports = [solve_in_alternation(H, pieces(v), 0.0, settings, known).report for v in sides]
    alone, others = hessian_of(A), KnownProducts.between_solves(6, "cg", tolerance)
    for v in sides:
        solve(alone, pieces(v), 0.0, reports[0].damping, "cg", 30, tolerance, others)
    assert H.products <= alone.products + 1
    assert all(report.residual <= 2 * tolerance for report in reports)


def test_without_a_share_nothing_changes_to_the_bit():
    settings = chosen(damping_relative=0.0, cg_iterations=4)
    H, known = hessian_of(symmetric(THREE)), KnownProducts(4)
    other, others = hessian_of(symmetric(THREE)), KnownProducts(4)
    for seed in (1, 2):
        found = solve_in_alternation(H, pieces(rhs(seed)), WEIGHTS, settings, known)
        expected = solve(other, pieces(rhs(seed)), WEIGHTS, 0.5, "cg", 4, 0.0, others)
        assert torch.equal(found.inverse, expected.inverse) and found.report == expected.report
    none = solve_in_alternation(H, pieces(rhs()), 0.1, chosen(cg_iterations=0), KnownProducts(4))
    assert (none.report.products, none.report.damping) == (0, None)


def test_a_right_hand_side_of_zero_tells_nothing_and_the_next_one_does():
    H, known = hessian_of(symmetric(THREE)), KnownProducts(4)
    zero = solve_in_alternation(H, pieces(0 * rhs()), 0.0, chosen(damping=0.0), known)
    assert (zero.report.stopped_because, H.products) == ("zero_rhs", 0)
    found = solve_in_alternation(H, pieces(rhs()), 0.0, chosen(damping=0.0), known)
    assert found.report.damping == pytest.approx(5.0)
    flat = hessian_of(torch.zeros(ENTRIES, ENTRIES, dtype=torch.float64))
    without = solve_in_alternation(flat, pieces(rhs()), 0.0, chosen(damping=0.0), KnownProducts(4))
    torch.testing.assert_close(whole(without.x), rhs())


def test_an_alternation_reports_it():
    report = SmallProblem(damping=0.0, damping_relative=2.0).alternate()
    assert report.damping_used == pytest.approx(report.ritz_max * 2 / 3, rel=0.5)
    assert SmallProblem().alternate().damping_used == 10.0
    assert SmallProblem(cg_iterations=0).alternate().damping_used is None


def test_a_share_is_enough_for_the_system_to_be_solvable():
    assert Settings(damping=0.0, proximity_weight=0.0, damping_relative=0.5).damping == 0
    with pytest.raises((BadInputError, ValueError), match="more than 0 for damping"):
        Settings(damping=0.0, proximity_weight=0.0)
