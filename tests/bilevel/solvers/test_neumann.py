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
def test_the_series_is_rescaled_and_within_its_bound_where_the_plain_one_diverges(seed):
    H = symmetric(random_eigenvalues(seed, ENTRIES, 0.05, 4.0 * 10**seed), seed)
    M = entries_of(WEIGHTS, ENTRIES)
    A, v = H + torch.diag(M), rhs(seed, ENTRIES)
    plain = term = v / M
    for _ in range(40):
        term = -(H @ term) / M
        plain = plain + term
    assert relative_residual(A, plain, v) > 1e6
    s = solve(hessian_of(H), pieces(v), WEIGHTS, 0.0, "neumann", 40)
    eigenvalues = torch.linalg.eigvalsh(A)
    assert 0.3 / eigenvalues[-1] < s.report.step_length <= 1 / eigenvalues[-1]
    for m, residual in enumerate(s.report.residuals):
        assert residual <= (1 - s.report.step_length * eigenvalues[0]) ** m + 1e-12
    assert s.report.residual == pytest.approx(relative_residual(A, s.inverse, v))


def test_later_solves_use_the_bound_of_the_first():
    H = hessian_of(symmetric(random_eigenvalues(0, ENTRIES, 0.5, 50.0)))
    known = KnownProducts(0)
    first, second = (
        solve(H, pieces(rhs(seed, ENTRIES)), 0.5, 0.0, "neumann", 4, known=known).report for seed in (1, 2)
    )
    assert (first.products, second.products) == (7, 4)
    assert first.curvature == second.curvature
    assert first.step_length == second.step_length


def test_a_missed_bound_cuts_the_step_down():
    # Three Lanczos steps from a vector without the largest eigenvalue's direction can't see it; rounding brings it in.
    eigenvalues = torch.linspace(1.0, 2.0, ENTRIES, dtype=torch.float64)
    eigenvalues[-1] = 1e6
    v = rhs(entries=ENTRIES)
    v[-1] = 1e-4
    s = solve(hessian_of(torch.diag(eigenvalues)), pieces(v), 1e-9, 0.0, "neumann", 30)
    assert s.report.residuals == sorted(s.report.residuals, reverse=True)
    assert s.report.residual < 1


def test_negative_curvature_ends_all_solves_of_an_alternation_at_the_first_order_answer():
    eigenvalues = random_eigenvalues(0, ENTRIES, 0.5, 5.0)
    eigenvalues[3] = -40.0
    A, known = symmetric(eigenvalues), KnownProducts(4)
    for products in (3, 1):
        s = solve(hessian_of(A), pieces(rhs(entries=ENTRIES)), 1.0, 0.0, "neumann", 5, known=known)
        assert s.report.stopped_because == "negative_curvature"
        assert (s.report.products, s.report.step_length) == (products, None)
        torch.testing.assert_close(torch.cat([part.reshape(-1) for part in s.x]), rhs(entries=ENTRIES))
        residual = relative_residual(A + torch.eye(ENTRIES), s.inverse, rhs(entries=ENTRIES))
        assert s.report.residual == pytest.approx(residual)
