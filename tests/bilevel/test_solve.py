import math

import pytest
import torch

from bissl_ray.bilevel import KnownProducts, LowerHessian, solve
from bissl_ray.config.names import SOLVERS
from tests.bilevel.quadratic import ENTRIES, entries_of, hessian_of, pieces, rhs, symmetric, whole

POSITIVE = symmetric(torch.linspace(0.1, 5, ENTRIES).tolist())
WEIGHTS = [0.3, 2.0, 0.01]


@pytest.mark.parametrize("weights", [0.7, WEIGHTS])
@pytest.mark.parametrize(
    ("method", "iterations", "accuracy"),
    [("cg", 12, 1e-10), ("minres", 12, 1e-10), ("neumann", 800, 1e-8), ("nystrom", 8, 1e-9)],
)
def test_solvers_reach_the_closed_form(weights, method, iterations, accuracy):
    each = [weights] * 3 if isinstance(weights, float) else weights
    M = torch.diag(entries_of(each) + 0.2)
    s = solve(hessian_of(POSITIVE), pieces(rhs()), weights, 0.2, method, iterations)
    expected = M @ torch.linalg.solve(M + POSITIVE, rhs())
    torch.testing.assert_close(whole(s.x), expected, rtol=accuracy, atol=accuracy)
    torch.testing.assert_close(s.image, (M + POSITIVE) @ s.inverse, rtol=1e-9, atol=1e-9)
    assert s.report.stopped_because in ("tolerance", "iterations")
    if method == "cg" and isinstance(weights, list):
        other_order = torch.linalg.solve(M + POSITIVE, M @ rhs())
        assert (whole(s.x) - other_order).norm() > 0.1 * expected.norm()


@pytest.mark.parametrize("method", SOLVERS)
def test_no_iterations_is_the_identity(method):
    H = hessian_of(POSITIVE)
    s = solve(H, pieces(rhs()), WEIGHTS, 0.2, method, iterations=0)
    torch.testing.assert_close(whole(s.x), rhs())
    assert (H.products, s.report.products, s.report.residual) == (0, 0, None)


def test_layerwise_is_exact_for_a_diagonal_multiple_per_tensor_and_not_for_coupled_ones():
    # One curvature per tensor: each tensor's own step solves it at once, where global CG needs three.
    per_tensor = torch.diag(entries_of([1.0, 5.0, 40.0]))
    s = solve(hessian_of(per_tensor), pieces(rhs()), 0.5, 0.0, "layerwise_cg", iterations=1)
    torch.testing.assert_close(whole(s.x), 0.5 * rhs() / (per_tensor.diagonal() + 0.5))
    assert s.report.residual < 1e-15
    # Any diagonal matrix: each tensor's run is plain CG on that tensor alone.
    diagonal = torch.diag(torch.linspace(0.5, 4, ENTRIES, dtype=torch.float64))
    s = solve(hessian_of(diagonal), pieces(rhs()), 0.5, 0.0, "layerwise_cg", iterations=4)
    torch.testing.assert_close(whole(s.x), 0.5 * rhs() / (diagonal.diagonal() + 0.5))
    coupled = solve(hessian_of(POSITIVE), pieces(rhs()), 0.2, 0.0, "layerwise_cg", iterations=30)
    A = POSITIVE + 0.2 * torch.eye(ENTRIES, dtype=torch.float64)
    true = (rhs() - A @ coupled.inverse).norm() / rhs().norm()
    assert true > 1e-3
    assert coupled.report.residual == pytest.approx(float(true))
    assert coupled.report.products == 31
    # Its own recursion believes to be there after four iterations.
    early = solve(hessian_of(POSITIVE), pieces(rhs()), 0.2, 0.0, "layerwise_cg", 30, tolerance=0.3)
    assert (early.report.stopped_because, early.report.products) == ("stagnated", 5)
    assert early.report.residual > 0.3
    # Where no tensors are coupled, it is right to believe so.
    there = solve(hessian_of(diagonal), pieces(rhs()), 0.5, 0.0, "layerwise_cg", 30, tolerance=1e-6)
    assert there.report.stopped_because == "tolerance" and there.report.residual <= 1e-6


def test_tolerance_stops_and_residuals_are_true_ones():
    s = solve(hessian_of(POSITIVE), pieces(rhs()), 0.5, 0.5, tolerance=0.05, iterations=50)
    assert s.report.stopped_because == "tolerance"
    assert s.report.products == len(s.report.residuals) - 1 < ENTRIES
    assert s.report.residuals[-1] <= 0.05 < s.report.residuals[-2]
    true = (rhs() - (POSITIVE @ s.inverse + s.inverse)).norm() / rhs().norm()
    assert s.report.residual == pytest.approx(float(true))
    assert s.report.residuals[0] == 1.0


def test_ritz_values_are_the_extreme_eigenvalues_of_the_solved_matrix():
    s = solve(hessian_of(POSITIVE), pieces(rhs()), 0.5, 0.5, iterations=ENTRIES)
    assert s.report.curvature == pytest.approx((1.1, 6.0))
    few = solve(hessian_of(POSITIVE), pieces(rhs()), 0.5, 0.5, iterations=2)
    assert 1.1 < few.report.curvature[0] < few.report.curvature[1] < 6.0


@pytest.mark.parametrize("method", ["cg", "neumann"])
@pytest.mark.parametrize("negative", [1, ENTRIES])
def test_negative_curvature_is_reported(method, negative):
    eigenvalues = [-9.0] * negative + [1.0] * (ENTRIES - negative)
    s = solve(hessian_of(symmetric(eigenvalues)), pieces(rhs()), 0.5, 0.5, method, iterations=20)
    assert s.report.stopped_because == "negative_curvature"
    assert s.report.negative_curvature == 1
    assert s.report.curvature[0] <= 0
    assert whole(s.x).isfinite().all()
    if negative == ENTRIES or method == "neumann":  # nothing was solved yet: first-order answer, honestly measured
        torch.testing.assert_close(whole(s.x), rhs())
        assert s.report.residuals[0] == 1.0
        assert s.report.residual > 1


def test_layerwise_counts_tensors_without_positive_curvature():
    mixed = torch.diag(entries_of([2.0, -3.0, 1.0]))
    s = solve(hessian_of(mixed), pieces(rhs()), 0.5, 0.5, "layerwise_cg", iterations=1)
    assert s.report.negative_curvature == 1
    assert s.x[1].eq(0).all()
    torch.testing.assert_close(s.x[0], pieces(rhs())[0] / 3)


def test_zero_and_non_finite_right_hand_sides():
    H = hessian_of(POSITIVE)
    zero = solve(H, pieces(torch.zeros_like(rhs())), 0.5, 0.5)
    assert zero.report.stopped_because == "zero_rhs"
    assert whole(zero.x).eq(0).all()
    broken = solve(H, pieces(rhs() * math.nan), 0.5, 0.5)
    assert broken.report.stopped_because == "non_finite"
    assert whole(broken.x).isnan().all()
    assert H.products == 0


def test_a_non_finite_hessian_stops_the_solve():
    s = solve(hessian_of(POSITIVE * math.inf), pieces(rhs()), 0.5, 0.5)
    assert s.report.stopped_because == "non_finite"
    assert s.report.products == 1


@pytest.mark.parametrize("method", ["cg", "minres", "neumann"])
def test_known_products_make_a_better_start_for_free(method):
    H = hessian_of(POSITIVE)
    A = POSITIVE + torch.diag(entries_of(WEIGHTS) + 0.2)
    known = KnownProducts(6)
    first, second = (solve(H, pieces(rhs(seed)), WEIGHTS, 0.2, method, 3, known=known) for seed in (5, 6))
    mixture = A @ (0.3 * first.inverse - 2.0 * second.inverse)
    again = solve(H, pieces(mixture), WEIGHTS, 0.2, method, 3, 1e-10, known)
    assert again.report.stopped_because == "tolerance"
    assert again.report.products == 0
    torch.testing.assert_close(again.inverse, 0.3 * first.inverse - 2.0 * second.inverse)
    near = mixture + 0.1 * rhs(9)
    warm = solve(H, pieces(near), WEIGHTS, 0.2, method, 3, known=known)
    cold = solve(H, pieces(near), WEIGHTS, 0.2, method, 3)
    assert warm.report.residual < 0.5 * cold.report.residual
    assert warm.report.residual == pytest.approx(float((near - A @ warm.inverse).norm() / near.norm()))


def test_the_oldest_known_products_make_room():
    known = KnownProducts(2)
    vectors = [torch.tensor([1.0, i]) for i in range(4)]
    for vector in vectors[:3]:
        known.add(vector, 2 * vector)
    assert [[float(number) for number in row] for row in known.energies()] == [[4.0], [6.0, 10.0]]
    known.add(vectors[3], 2 * vectors[3])
    assert known.vectors == vectors[2:]
    assert [[float(number) for number in row] for row in known.energies()] == [[10.0], [14.0, 20.0]]
    assert [[float(number) for number in row] for row in known.squares()] == [[20.0], [28.0, 40.0]]
    with pytest.raises(ValueError, match="-1"):
        KnownProducts(-1)


def test_vectors_of_any_size_are_solved_alike_in_single_precision():
    params = [torch.ones(2, requires_grad=True)]
    H = LowerHessian((params[0] ** 2 * torch.tensor([1.0, 3.0])).sum(), params)
    for size in (1e-25, 1e15):
        s = solve(H, (torch.full((2,), size),), 0.5, 0.5, iterations=2)
        torch.testing.assert_close(s.x[0] / size, torch.tensor([1 / 3, 1 / 7]))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"damping": -1.0}, r"damping is -1\.0"),
        ({"proximity": -0.5}, r"proximity is -0\.5"),
        ({"proximity": [1.0, math.nan, 1.0]}, r"proximity\[1\] is nan"),
        ({"proximity": [1.0, 0.0, 1.0], "damping": 0.0}, r"proximity\[1\] \+ damping is 0"),
        ({"proximity": 0.0, "damping": 0.0}, r"proximity \+ damping is 0"),
        ({"proximity": [1.0, 1.0]}, "2 weights: expected one number, or 3"),
        ({"tolerance": 1.0}, r"tolerance is 1\.0"),
        ({"iterations": -1}, "iterations is -1"),
        ({"method": "gc"}, "unknown method 'gc'.*did you mean 'cg'"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, named):
    usual = {"proximity": 0.5, "damping": 0.5}
    with pytest.raises(ValueError, match=named):
        solve(hessian_of(POSITIVE), pieces(rhs()), **{**usual, **arguments})
