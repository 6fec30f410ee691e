"""What an alternation gains from products that are known, and what a solve may cost in synchronisations."""

import pytest
import torch

from bissl_ray.bilevel import KnownProducts, solve
from bissl_ray.bilevel.solvers import LinearSystem, get_solver
from bissl_ray.bilevel.solvers.recycling import galerkin_start, least_residual_start
from bissl_ray.config.names import SOLVERS
from tests.bilevel.quadratic import hessian_of, pieces, random_eigenvalues, rhs, symmetric

ENTRIES = 30
M = torch.tensor(0.5, dtype=torch.float64)


def unit(seed):
    return rhs(seed, ENTRIES) / rhs(seed, ENTRIES).norm()


def known_pairs(A, vectors):
    known = KnownProducts(len(vectors))
    for vector in vectors:
        known.add(vector, A @ vector)
    return known


@pytest.mark.parametrize("smallest", [0.1, -3.0])
@pytest.mark.parametrize("seed", range(3))
def test_starts_are_the_best_over_the_known_span_and_no_worse_than_zero(smallest, seed):
    eigenvalues = random_eigenvalues(seed, ENTRIES, 0.1, 30.0)
    eigenvalues[2:5] = smallest
    H, v = symmetric(eigenvalues, seed), unit(seed)
    A = H + M * torch.eye(ENTRIES)
    vectors = [rhs(seed + i, ENTRIES) for i in range(1, 7)]
    # Known twice, or all but: nothing that a start may stumble over.
    vectors += [2.0 * vectors[0], vectors[1] + 1e-12 * rhs(99, ENTRIES)]
    W, known = torch.stack(vectors), known_pairs(A, vectors)
    system = LinearSystem(hessian_of(H), M, v, known)
    for start, tests in ((galerkin_start(system)[0], W), (least_residual_start(system)[0], W @ A)):
        torch.testing.assert_close(start.residual, v - A @ start.x)
        assert start.norm == pytest.approx(float(start.residual.norm()))
        assert start.norm <= 1
        if start.cold:
            assert start.x.eq(0).all()
        else:
            scale = tests.norm(dim=1) * start.norm
            assert ((tests @ start.residual).abs() <= 1e-6 * scale).all()
    assert not least_residual_start(system)[0].cold
    assert system.curvature.products == 0
    if smallest < 0:
        worst = torch.linalg.eigh(A).eigenvectors[:, 0]
        bent = LinearSystem(system.curvature, M, v, known_pairs(A, [*vectors[:2], worst]))
        assert galerkin_start(bent)[0].cold


@pytest.mark.parametrize(("method", "saved"), [("cg", 0.25), ("minres", 0.25), ("neumann", 0.1), ("nystrom", 0.5)])
def test_an_alternation_with_right_hand_sides_alike_takes_fewer_products(method, saved):
    H = symmetric(random_eigenvalues(4, ENTRIES, 0.1, 30.0))
    sides = [rhs(1, ENTRIES) + 0.3 * rhs(seed, ENTRIES) for seed in range(2, 8)]
    products = []
    for capacity in (0, 40):
        operator, known = hessian_of(H), KnownProducts(capacity)
        for v in sides:
            iterations = 12 if method == "nystrom" else 200
            report = solve(operator, pieces(v), 0.5, 0.0, method, iterations, 0.05, known).report
            assert method == "nystrom" or report.stopped_because == "tolerance"
        products.append(operator.products)
    assert products[1] <= (1 - saved) * products[0]


class CountingSystem(LinearSystem):
    synchronisations = 0

    def on_host(self, *scalars):
        CountingSystem.synchronisations += 1
        return super().on_host(*scalars)


@pytest.mark.parametrize("method", [method for method in SOLVERS if method != "identity"])
@pytest.mark.parametrize("capacity", [0, 40])
def test_an_iteration_synchronises_once_at_most(method, capacity):
    operator, known = hessian_of(symmetric(random_eigenvalues(4, ENTRIES, 0.1, 30.0))), KnownProducts(capacity)
    counts = []
    for iterations in (4, 9):
        for seed in (1, 2):
            CountingSystem.synchronisations = 0
            get_solver(method)(CountingSystem(operator, M, unit(seed), known), iterations, 0.0)
            counts.append(CountingSystem.synchronisations)
    # Beyond one an iteration: two for the start, one for a bound on the spectrum, two to look at the end.
    assert max(counts[:2]) <= 4 + 4
    assert max(counts[2:]) <= 9 + 4
