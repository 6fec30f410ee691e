"""No linear solve: H is left out."""

from bissl_ray.bilevel.report import SolveReport
from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome


def identity(system: LinearSystem, iterations: int, tolerance: float) -> Outcome:  # noqa: ARG001
    """x = M⁻¹ v, so that M x = v: the first-order baseline (Luketina et al. 2016, "T1 − T2").

    No product is computed, hence the residual is unknown. Iterations and tolerance don't matter.
    """
    return Outcome(system.rhs / system.diagonal, residual=None, report=SolveReport("iterations"))
