import pytest
import torch

from bissl_ray.bilevel import KnownProducts, solve
from bissl_ray.config.names import SOLVERS
from tests.bilevel.quadratic import ENTRIES, hessian_of, pieces, rhs, symmetric
from tests.processes import run_workers

pytestmark = pytest.mark.slow

DEFINITE = [0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 20.0, 60.0]
INDEFINITE = [-30.0, -2.0, 1.0, 2.0, 3.0, 5.0, 20.0, 60.0]
WEIGHTS = [0.3, 2.0, 0.5]


def solve_an_alternation(rank, workers):
    """Three solves by every method; each worker holds another Hessian, and their mean is the matrix."""
    outcomes = {}
    apart = (rank - (workers - 1) / 2) * symmetric(torch.linspace(-4, 4, ENTRIES), seed=7)
    for eigenvalues in (DEFINITE, INDEFINITE):
        for method in SOLVERS:
            H, known = hessian_of(symmetric(eigenvalues) + apart), KnownProducts(6)
            found = [
                solve(H, pieces(rhs(1) + 0.5 * rhs(seed)), WEIGHTS, 0.1, method, 4, 0.01, known) for seed in (2, 3, 4)
            ]
            reports = [(s.report.products, s.report.stopped_because, s.report.negative_curvature) for s in found]
            outcomes[method, eigenvalues[0]] = H.products, reports, torch.stack([s.inverse for s in found])
    return outcomes


def test_workers_take_the_same_products_to_the_same_solution_as_one_process():
    alone = solve_an_alternation(0, 1)
    for workers in (2, 4):
        for outcomes in run_workers(solve_an_alternation, workers):
            for case, (products, reports, solutions) in outcomes.items():
                assert (products, reports) == alone[case][:2], case
                torch.testing.assert_close(solutions, alone[case][2], rtol=1e-9, atol=1e-9)
