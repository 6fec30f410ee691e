"""Whether a solve that seems to have converged has."""

import math

from torch import Tensor

from bissl_ray.bilevel.report import SolveReport
from bissl_ray.bilevel.solvers.system import LinearSystem


class ConvergenceCheck:
    """Keeps a recursion's residual honest, at the cost of a product only where rounding may matter.

    The residual that an iteration carries along parts from v − A x by about ε (‖A‖ ‖x‖ + the largest residual on
    the way) (van der Vorst and Ye 2000, "Residual replacement strategies for Krylov subspace iterative methods").
    Where that is well below the goal, the recursion is believed. Else one product measures the true residual.

    Args:
        system: the system.
        tolerance: the relative residual asked for.

    Attributes:
        goal: the relative residual to stop at.
    """

    def __init__(self, system: LinearSystem, tolerance: float) -> None:
        self.goal = system.close_enough(tolerance)
        self._system = system
        self._measured = math.inf

    def settle(self, x: Tensor, residual: Tensor, report: SolveReport) -> tuple[Tensor, bool]:
        """Decide whether to stop, where the residual carried along is down at the goal or can't come down further.

        Writes the reason to stop, and the residual and the product where it was measured, into the report. The solve
        has stagnated where the true residual is above the goal and not half of what the last check measured.

        Returns:
            The residual to go on with, and whether to stop.
        """
        scale = max(map(abs, report.curvature), default=0.0) if report.curvature else 0.0
        size = math.sqrt(self._system.on_host(x.dot(x))[0])
        noise = self._system.close_enough(0.0) * (scale * size + max(report.residuals))
        if report.residuals[-1] <= self.goal and noise <= 0.5 * self.goal:
            report.stopped_because = "tolerance"
            return residual, True
        residual = self._system.rhs - self._system.product(x)
        report.products += 1
        report.residuals[-1] = norm = self._system.norm(residual)
        if norm <= max(self.goal, noise):
            report.stopped_because = "tolerance"
            return residual, True
        if not norm <= 0.5 * self._measured:
            report.stopped_because = "stagnated" if math.isfinite(norm) else "non_finite"
            return residual, True
        self._measured = norm
        return residual, False
