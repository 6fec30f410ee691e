"""Solvers of (M + H) x = v, one a file; their names stand in `bissl_ray.config.names`, one line each."""

from collections.abc import Callable
from pkgutil import resolve_name

from bissl_ray.bilevel.solvers.known_products import KnownProducts
from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, SolveReport, Start, StopReason
from bissl_ray.config.names import SOLVERS

Solver = Callable[[LinearSystem, int, float], Outcome]
"""What a solver is: a function of the system, the most iterations, and the relative residual to stop at."""


def get_solver(name: str) -> Solver:
    """The solver of a name in `SOLVERS`, imported now if it was not yet.

    Raises:
        KeyError: there is no such name.
    """
    solver: Solver = resolve_name(SOLVERS[name])
    return solver


__all__ = [
    "KnownProducts",
    "LinearSystem",
    "Outcome",
    "SolveReport",
    "Solver",
    "Start",
    "StopReason",
    "get_solver",
]
