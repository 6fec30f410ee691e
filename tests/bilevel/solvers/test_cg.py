import math

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

ENTRIES = 30
WEIGHTS = [0.3, 2.0, 0.05]


def lowered(matrix, x, v):
    """½ xᵀAx − vᵀx, which is 0 at 0 and lowest at the solution of a positive definite system."""
    return float(0.5 * x @ matrix @ x - v @ x)


@pytest.mark.parametrize("seed", range(4))
def test_the_error_is_within_its_bound_in_the_energy_norm(seed):
    H = symmetric(random_eigenvalues(seed, ENTRIES, 0.05, 4.0 * 10**seed), seed)
    A, v = H + torch.diag(entries_of(WEIGHTS, ENTRIES)), rhs(seed, ENTRIES)
    exact, eigenvalues = torch.linalg.solve(A, v), torch.linalg.eigvalsh(A)
    root = math.sqrt(eigenvalues[-1] / eigenvalues[0])
    for iterations in (1, 2, 4, 8, 16):
        error = exact - solve(hessian_of(H), pieces(v), WEIGHTS, 0.0, "cg", iterations).inverse
        bound = 2 * ((root - 1) / (root + 1)) ** iterations
        assert (error @ A @ error).sqrt() <= bound * (exact @ A @ exact).sqrt()


@pytest.mark.parametrize("smallest", [0.2, -0.5])
def test_more_iterations_and_known_products_never_raise_the_energy(smallest):
    eigenvalues = random_eigenvalues(1, ENTRIES, 0.2, 50.0)
    eigenvalues[2] = smallest
    A = symmetric(eigenvalues)
    known, sizes = KnownProducts(6), []
    for seed in range(3):
        v = rhs(seed, ENTRIES)
        cold = [solve(hessian_of(A), pieces(v), 1e-9, 0.0, "cg", m) for m in range(1, 10)]
        energies = [lowered(A, s.inverse, v) for s in cold if s.report.stopped_because == "iterations"]
        assert energies == sorted(energies, reverse=True)
        assert energies[0] < 0
        assert all(v @ s.inverse > 0 for s in cold)
        warm = solve(hessian_of(A), pieces(v), 1e-9, 0.0, "cg", 3, known=known)
        assert lowered(A, warm.inverse, v) < (0 if smallest < 0 else energies[2] + 1e-12)
        sizes.append(len(known))
    assert sizes[0] == 3


def test_directions_are_conjugate_to_those_of_earlier_solves():
    A = symmetric(random_eigenvalues(3, ENTRIES, 0.5, 50.0))
    known, H = KnownProducts(30), hessian_of(A)
    for seed in range(5):
        solve(H, pieces(rhs(seed, ENTRIES)), 1e-9, 0.0, "cg", 6, known=known)
    P = torch.stack(known.vectors)
    energies = P @ A @ P.T
    scale = energies.diagonal().rsqrt()
    torch.testing.assert_close(energies * scale * scale[:, None], torch.eye(30).double(), atol=1e-6, rtol=0)
    # Five solves have searched the whole space: the sixth has nothing left to do.
    last = solve(H, pieces(rhs(9, ENTRIES)), 1e-9, 0.0, "cg", 6, 1e-6, known)
    assert (last.report.products, last.report.stopped_because) == (0, "tolerance")


def recursion(matrix, v, iterations):
    """Textbook conjugate gradients: the solution, and the residual that they believe in."""
    x, r, p = torch.zeros_like(v), v, v
    for _ in range(iterations):
        image = matrix @ p
        step = r.dot(r) / p.dot(image)
        x, next_r = x + step * p, r - step * image
        p, r = next_r + next_r.dot(next_r) / r.dot(r) * p, next_r
    return x, float(r.norm() / v.norm())


@pytest.mark.parametrize("capacity", [0, 64])
def test_rounding_cannot_make_the_residual_look_smaller_than_it_is(capacity):
    A = symmetric(random_eigenvalues(0, 60, 1.0, 1e4)).float()
    v = rhs(entries=60).float()
    x, believed = recursion(A, v, 400)
    assert believed < 0.1 * relative_residual(A, x, v)
    for tolerance in (1e-3, 1e-5, 0.0):
        s = solve(hessian_of(A), pieces(v), 1e-8, 0.0, "cg", 400, tolerance, KnownProducts(capacity))
        true = relative_residual(A, s.inverse, v)
        assert s.report.residual == pytest.approx(true, rel=0.3)
        assert true < 1e-3
        # All directions conjugate, also against rounding: it takes about as many as there are entries.
        assert capacity == 0 or s.report.products <= 2 * 60


def test_a_solve_that_rounding_fooled_restarts_from_the_true_residual():
    eigenvalues = random_eigenvalues(0, 60, 0.5, 8.0)
    eigenvalues[:3] = torch.tensor([3e4, 7e3, 5e3])
    A, v = symmetric(eigenvalues).float(), rhs(entries=60).float()
    restarts = 0
    for tolerance in (1e-2, 1e-3, 1e-4, 1e-5):
        s = solve(hessian_of(A), pieces(v), 1e-8, 0.0, "cg", 200, tolerance)
        true = relative_residual(A, s.inverse, v)
        assert s.report.residual == pytest.approx(true, rel=0.3)
        assert (s.report.residual <= tolerance) == (s.report.stopped_because == "tolerance")
        restarts += s.report.products - (len(s.report.residuals) - 1) - 1
    assert s.report.residual < 2e-3
    assert restarts >= 2


def test_a_wild_iterate_before_negative_curvature_gives_way_to_the_first_order_answer():
    H = hessian_of(symmetric([-6.0, -1.5, 90.0, 60.0, 40.0, 5.0, 3.0, 1.0]))
    known = KnownProducts(8)
    met = 0
    for seed in range(6):
        s = solve(H, pieces(rhs(seed)), 0.5, 0.5, iterations=6, known=known)
        assert s.report.residuals[0] == 1.0  # no start from an energy that has no minimum
        assert s.report.stopped_because == "negative_curvature"
        if max(s.report.residuals[:-1]) > 1.0 and torch.allclose(whole(s.x), rhs(seed)):
            met += 1
        true = (rhs(seed) - whole(H.matvec(pieces(s.inverse))) - s.inverse).norm() / rhs(seed).norm()
        assert s.report.residual == pytest.approx(float(true))
    assert met >= 3
