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
)

ENTRIES = 30
WEIGHTS = [0.3, 2.0, 0.5]
M = torch.diag(entries_of(WEIGHTS, ENTRIES))


def approximation(H, known, count):
    """Y (WᵀY)⁺ Yᵀ without its negative part, from the first so many known vectors."""
    W = torch.linalg.qr(torch.stack(known.vectors[:count], dim=1)).Q
    values, basis = torch.linalg.eigh(W.T @ H @ W)
    B = (H @ W @ basis)[:, values > 1e-12] * values[values > 1e-12].rsqrt()
    return B @ B.T


@pytest.mark.parametrize("count", [1, 4, 12])
def test_it_is_the_closed_form_and_within_the_error_bound(count):
    H, v, known = symmetric(random_eigenvalues(2, ENTRIES, 0.01, 20.0)), rhs(entries=ENTRIES), KnownProducts(count + 1)
    s = solve(hessian_of(H), pieces(v), WEIGHTS, 0.0, "nystrom", count, known=known)
    low_rank = approximation(H, known, count)
    torch.testing.assert_close(s.inverse, torch.linalg.solve(M + low_rank, v), rtol=1e-8, atol=1e-8)
    left_out, smallest = torch.linalg.matrix_norm(H - low_rank, 2), min(WEIGHTS)
    error = (s.inverse - torch.linalg.solve(M + H, v)).norm() / v.norm()
    assert error <= left_out / (smallest * (smallest + left_out))
    assert (s.report.products, len(known)) == (count + 1, count + 1)
    assert s.report.residual == pytest.approx(relative_residual(M + H, s.inverse, v))
    eigenvalues = torch.linalg.eigvalsh(M + H)
    assert eigenvalues[0] <= s.report.curvature[0] <= s.report.curvature[1] <= eigenvalues[-1]


def test_what_is_left_out_is_as_small_as_expected_of_gaussian_vectors():
    eigenvalues = torch.logspace(2, -3, ENTRIES, dtype=torch.float64)
    count, errors = 8, []
    for seed in range(10):
        H, known = symmetric(eigenvalues, seed), KnownProducts(count)
        solve(hessian_of(H), pieces(rhs(entries=ENTRIES)), WEIGHTS, 0.0, "nystrom", count, known=known)
        known.vectors.insert(0, known.vectors.pop())
        errors.append(float(torch.linalg.matrix_norm(H - approximation(H, known, count), 2)))
    bounds = []
    for p in range(2, count):
        r = count - p
        rest = float(eigenvalues[r:].sum())
        bounds.append((1 + 2 * r / (p - 1)) * float(eigenvalues[r]) + 2 * math.e**2 * count / (p**2 - 1) * rest)
    assert sum(errors) / len(errors) <= min(bounds)


def test_a_hessian_of_low_rank_is_inverted_exactly():
    eigenvalues = torch.zeros(ENTRIES, dtype=torch.float64)
    eigenvalues[:4] = torch.tensor([50.0, 8.0, 1.0, 0.2])
    H, v = symmetric(eigenvalues), rhs(entries=ENTRIES)
    s = solve(hessian_of(H), pieces(v), WEIGHTS, 0.0, "nystrom", 6, 1e-6)
    torch.testing.assert_close(s.inverse, torch.linalg.solve(M + H, v), rtol=1e-6, atol=1e-6)
    assert s.report.stopped_because == "tolerance"


def test_later_solves_draw_no_vectors_and_are_exact_on_earlier_solutions():
    H, known = hessian_of(symmetric(random_eigenvalues(2, ENTRIES, 0.01, 20.0))), KnownProducts(16)
    first, other, again = (
        solve(H, pieces(rhs(seed, ENTRIES)), WEIGHTS, 0.0, "nystrom", 5, known=known) for seed in (1, 2, 1)
    )
    assert [s.report.products for s in (first, other, again)] == [6, 1, 1]
    mixture = 2 * first.image - other.image
    found = solve(H, pieces(mixture), WEIGHTS, 0.0, "nystrom", 5, 1e-6, known=known)
    assert found.report.stopped_because == "tolerance"
    torch.testing.assert_close(found.inverse, 2 * first.inverse - other.inverse, rtol=1e-6, atol=1e-6)


def test_negative_curvature_is_cut_off_and_counted():
    eigenvalues = random_eigenvalues(2, ENTRIES, 0.1, 20.0)
    eigenvalues[3:6] = torch.tensor([-9.0, -5.0, -0.2])
    H, v, known = symmetric(eigenvalues), rhs(entries=ENTRIES), KnownProducts(ENTRIES + 1)
    s = solve(hessian_of(H), pieces(v), 0.5, 0.0, "nystrom", ENTRIES, known=known)
    # All of H is seen: −0.2 is not negative curvature of M + H, but has no place in a positive H′ either.
    assert s.report.negative_curvature == 2
    positive = symmetric(eigenvalues.clamp(min=0))
    expected = torch.linalg.solve(0.5 * torch.eye(ENTRIES) + positive, v)
    torch.testing.assert_close(s.inverse, expected, rtol=1e-6, atol=1e-6)
    assert s.report.residual == pytest.approx(relative_residual(H + 0.5 * torch.eye(ENTRIES), s.inverse, v))
    assert s.report.residual > 0.5


def test_vectors_are_the_same_in_every_run_and_leave_the_global_generator_alone():
    H = symmetric(random_eigenvalues(2, ENTRIES, 0.1, 20.0))
    solutions = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        solutions.append(solve(hessian_of(H), pieces(rhs(entries=ENTRIES)), WEIGHTS, 0.0, "nystrom", 5).inverse)
        after = torch.rand(1)
        torch.manual_seed(seed)
        assert after == torch.rand(1)
    assert solutions[0].equal(solutions[1])
    broken = solve(hessian_of(H * math.inf), pieces(rhs(entries=ENTRIES)), WEIGHTS, 0.0, "nystrom", 5)
    assert broken.report.stopped_because == "non_finite"
    assert broken.inverse.eq(0).all()


def test_where_nothing_is_curved_the_proximity_term_alone_is_inverted():
    H, v, known = torch.zeros(ENTRIES, ENTRIES, dtype=torch.float64), rhs(entries=ENTRIES), KnownProducts(5)
    s = solve(hessian_of(H), pieces(v), WEIGHTS, 0.0, "nystrom", 4, known=known)
    torch.testing.assert_close(s.inverse, torch.linalg.solve(M, v), rtol=1e-12, atol=1e-12)
