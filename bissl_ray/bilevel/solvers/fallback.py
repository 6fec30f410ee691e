"""What to answer when negative curvature is met before anything was solved."""

import math

from bissl_ray.bilevel.report import SolveReport
from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome


def first_order(system: LinearSystem, report: SolveReport) -> Outcome:
    """M⁻¹ v, its residual measured by one more product and added to the report.

    Truncated Newton methods likewise fall back to the gradient (Nocedal and Wright 2006, algorithm 7.1).
    """
    x = system.rhs / system.diagonal
    residual = system.rhs - system.product(x)
    report.products += 1
    report.residuals += [math.sqrt(square) for square in system.on_host(residual.dot(residual))]
    return Outcome(x, residual, report)
