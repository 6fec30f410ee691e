"""No linear solve: H is left out."""

from bissl_ray.bilevel.report import SolveReport
from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, Start


def identity(
    system: LinearSystem,
    start: Start,  # noqa: ARG001
    iterations: int,  # noqa: ARG001
    tolerance: float,  # noqa: ARG001
) -> Outcome:
    """x = M⁻¹ v, so that M x = v: the first-order baseline (Luketina et al. 2016, "T1 − T2").

    No product is computed, hence the residual is unknown. Start, iterations and tolerance don't matter.
    """
    return Outcome(system.rhs / system.diagonal, residual=None, report=SolveReport("iterations"))
