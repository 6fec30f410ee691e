"""A solver of one's own: a function in a file, and one line that names it."""

import torch

from bissl_ray.bilevel import solve
from bissl_ray.bilevel.solvers import Outcome, SolveReport, get_solver
from bissl_ray.config.names import SOLVERS
from tests.bilevel.quadratic import ENTRIES, hessian_of, pieces, rhs, symmetric, whole
from tests.bilevel.small_problem import SmallProblem


def one_step(system, iterations, tolerance):
    """The first Richardson step from x = v, at the cost of one product."""
    residual = system.rhs - system.product(system.rhs)
    return Outcome(
        system.rhs + residual, None, SolveReport("iterations", products=1, residuals=[system.norm(residual)])
    )


def test_every_name_is_a_solver_in_the_file_of_that_name():
    for name in SOLVERS:
        assert get_solver(name).__module__ == f"bissl_ray.bilevel.solvers.{name}"


def test_its_line_makes_it_a_solver_of_solve_and_of_the_settings(monkeypatch):
    monkeypatch.setitem(SOLVERS, "one_step", f"{__name__}:one_step")
    H = symmetric(torch.linspace(0.1, 5, ENTRIES).tolist())
    s = solve(hessian_of(H), pieces(rhs()), 0.7, 0.3, "one_step")
    torch.testing.assert_close(whole(s.x), 2 * rhs() - (H @ rhs() + rhs()))
    assert SmallProblem(solver="one_step").alternate().hvps == 2
