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
WEIGHTS = [0.3, 2.0, 0.05]


@pytest.mark.parametrize("seed", range(4))
def test_the_residual_is_within_its_bound_and_below_that_of_cg(seed):
    H = symmetric(random_eigenvalues(seed, ENTRIES, 0.05, 4.0 * 10**seed), seed)
    A, v = H + torch.diag(entries_of(WEIGHTS, ENTRIES)), rhs(seed, ENTRIES)
    eigenvalues = torch.linalg.eigvalsh(A)
    root = math.sqrt(eigenvalues[-1] / eigenvalues[0])
    s = solve(hessian_of(H), pieces(v), WEIGHTS, 0.0, "minres", 16)
    cg = solve(hessian_of(H), pieces(v), WEIGHTS, 0.0, "cg", 16)
    for m, (residual, other) in enumerate(zip(s.report.residuals, cg.report.residuals, strict=True)):
        assert residual <= min(2 * ((root - 1) / (root + 1)) ** m, other) * (1 + 1e-9)
    assert s.report.residuals == sorted(s.report.residuals, reverse=True)
    assert s.report.residual == pytest.approx(relative_residual(A, s.inverse, v))


@pytest.mark.parametrize("seed", range(3))
def test_the_residual_is_within_its_bound_for_two_intervals(seed):
    # Eigenvalues in [−a, −b] and [c, d] of equal length (Greenbaum 1997, section 3.1).
    b, c, length = 0.2 + seed, 0.5, 3.0
    a, d = b + length, c + length
    places = torch.rand(ENTRIES, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * length
    eigenvalues = torch.cat([-b - places[:10], c + places[10:]])
    v = rhs(seed, ENTRIES)
    residuals = solve(hessian_of(symmetric(eigenvalues, seed)), pieces(v), 1e-12, 0.0, "minres", 20).report.residuals
    rate = (math.sqrt(a * d) - math.sqrt(b * c)) / (math.sqrt(a * d) + math.sqrt(b * c))
    for m, residual in enumerate(residuals):
        assert residual <= 2 * rate ** (m // 2) * (1 + 1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_indefinite_systems_are_solved_and_their_negative_eigenvalues_counted_once(dtype):
    # As of a ResNet after a short pretraining: outliers on both sides, the rest in a small interval.
    eigenvalues = random_eigenvalues(0, 200, 0.5, 9.0)
    eigenvalues[:5] = torch.tensor([900.0, 700.0, 500.0, -60.0, -40.0])
    A, v = symmetric(eigenvalues).to(dtype), rhs(entries=200).to(dtype)
    s = solve(hessian_of(A), pieces(v), 1e-8, 0.0, "minres", 40, 1e-4, KnownProducts(40))
    assert s.report.stopped_because == "tolerance"
    assert relative_residual(A, s.inverse, v) < 1.01e-4
    assert s.report.negative_curvature == 2
    assert s.report.curvature == pytest.approx((-60.0, 900.0), rel=1e-4)


def test_the_space_that_earlier_solves_searched_is_left_out():
    eigenvalues = random_eigenvalues(3, ENTRIES, 0.5, 50.0)
    eigenvalues[4:8] *= -1
    A = symmetric(eigenvalues)
    known, H = KnownProducts(30), hessian_of(A)
    solves = [solve(H, pieces(rhs(seed, ENTRIES)), 1e-12, 0.0, "minres", 6, known=known) for seed in range(5)]
    images = torch.stack(known.images)
    images /= images.norm(dim=1, keepdim=True)
    torch.testing.assert_close(images @ images.T, torch.eye(30).double(), atol=1e-6, rtol=0)
    assert sum(s.report.negative_curvature for s in solves) <= 4 * len(solves)
    last = solve(H, pieces(rhs(9, ENTRIES)), 1e-12, 0.0, "minres", 6, 1e-6, known)
    assert (last.report.products, last.report.stopped_because) == (0, "tolerance")
    torch.testing.assert_close(last.inverse, torch.linalg.solve(A, rhs(9, ENTRIES)), rtol=1e-4, atol=1e-5)


def test_an_exhausted_krylov_space_ends_the_solve():
    regular = symmetric([2.0, 2.0, 2.0, -1.0, -1.0, 5.0, 5.0, 5.0])
    s = solve(hessian_of(regular), pieces(rhs()), 1e-12, 0.0, "minres", 30)
    assert (s.report.stopped_because, s.report.negative_curvature) == ("tolerance", 1)
    assert s.report.products <= 5
    assert relative_residual(regular, s.inverse, rhs()) < 1e-12
    # M + H is singular, and v has a part that it doesn't reach: what is left over is that part.
    singular = symmetric([0.0, 2.0, 2.0, -1.0, -1.0, 5.0, 5.0, 5.0])
    s = solve(hessian_of(singular - torch.eye(8)), pieces(rhs()), 1.0, 0.0, "minres", 30)
    null = torch.linalg.eigh(singular).eigenvectors[:, 2]
    assert s.report.stopped_because == "stagnated"
    assert s.report.residual == pytest.approx(float((null @ rhs()).abs() / rhs().norm()))
    assert s.inverse.norm() < 10


@pytest.mark.parametrize("capacity", [0, 64])
def test_rounding_cannot_make_the_residual_look_smaller_than_it_is(capacity):
    eigenvalues = random_eigenvalues(0, 60, 1.0, 1e4)
    eigenvalues[5:9] *= -1
    A, v = symmetric(eigenvalues).float(), rhs(entries=60).float()
    for tolerance in (1e-3, 1e-6, 0.0):
        s = solve(hessian_of(A), pieces(v), 1e-8, 0.0, "minres", 300, tolerance, KnownProducts(capacity))
        assert s.report.residual == pytest.approx(relative_residual(A, s.inverse, v), rel=0.3)
        assert s.report.residual < 5e-3
        assert s.report.stopped_because in (("stagnated",) if tolerance == 1e-6 else ("tolerance",))
