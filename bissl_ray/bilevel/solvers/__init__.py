"""Solvers of (M + H) x = v, one a file; each takes (system, iterations, tolerance)."""

from collections.abc import Callable

from bissl_ray.bilevel.solvers.cg import conjugate_gradient
from bissl_ray.bilevel.solvers.identity import identity
from bissl_ray.bilevel.solvers.layerwise_cg import layerwise_conjugate_gradient
from bissl_ray.bilevel.solvers.minres import minimal_residual
from bissl_ray.bilevel.solvers.neumann import neumann_series
from bissl_ray.bilevel.solvers.nystrom import nystrom
from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome

Solver = Callable[[LinearSystem, int, float], Outcome]

SOLVERS: dict[str, Solver] = {
    "cg": conjugate_gradient,
    "layerwise_cg": layerwise_conjugate_gradient,
    "minres": minimal_residual,
    "neumann": neumann_series,
    "nystrom": nystrom,
    "identity": identity,
}

__all__ = ["SOLVERS", "LinearSystem", "Outcome", "Solver", "identity"]
