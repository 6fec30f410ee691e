"""Whether a solve that seems to have converged has."""

import math

from torch import Tensor

from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, SolveReport


class ConvergenceCheck:
    """Keeps a recursion's residual honest, at the cost of a product only where rounding may matter.

    The residual that an iteration carries along parts from v − A x by about ε (‖A‖ ‖x‖ + the largest residual on
    the way) (van der Vorst and Ye 2000, "Residual replacement strategies for Krylov subspace iterative methods").
    Where that is well below the residual, the recursion is believed. Else one product measures the true one.

    Args:
        system: the system.
        tolerance: the relative residual asked for.

    Attributes:
        goal: the relative residual to stop at.
    """

    def __init__(self, system: LinearSystem, tolerance: float) -> None:
        self.goal = system.close_enough(tolerance)
        self._any_rounding = tolerance == 0
        self._system = system
        self._settled = math.inf
        self._best: tuple[float, Tensor, Tensor] | None = None

    def settle(self, x: Tensor, residual: Tensor, report: SolveReport) -> tuple[Tensor, Tensor, bool]:
        """Decide whether to stop, where the residual carried along is down at the goal or can't come down further.

        Writes the reason to stop into the report. The solve has stagnated where the residual is above the goal and not
        half of what it was the last time; with tolerance 0, rounding level is the goal.

        Returns:
            The iterate and its residual, as `confirm`, and whether to stop.
        """
        x, residual, noise = self._confirm(x, residual, report)
        norm = report.residuals[-1]
        if norm <= self.goal or (norm <= noise and self._any_rounding):
            report.stopped_because = "tolerance"
        elif not norm <= 0.5 * self._settled:
            report.stopped_because = "stagnated" if math.isfinite(norm) else "non_finite"
        else:
            self._settled = norm
            return x, residual, False
        return x, residual, True

    def confirm(self, x: Tensor, residual: Tensor, report: SolveReport) -> Outcome:
        """The iterate with its true residual, measured if in doubt; an earlier one if that had a smaller residual."""
        x, residual, _ = self._confirm(x, residual, report)
        return Outcome(x, residual, report)

    def _confirm(self, x: Tensor, residual: Tensor, report: SolveReport) -> tuple[Tensor, Tensor, float]:
        """The iterate and its residual, and how much of that may be rounding."""
        noise = self._system.close_enough(0.0) * (self._scale(report) * self._system.norm(x) + max(report.residuals))
        if noise > 0.5 * max(report.residuals[-1], self.goal):
            residual = self._system.rhs - self._system.product(x)
            report.products += 1
            norm = self._system.norm(residual)
            if self._best is None or norm < self._best[0]:
                # Copies, since iterations write to what they go on with.
                self._best = norm, x.clone(), residual.clone()
            else:
                norm, x, residual = self._best[0], self._best[1].clone(), self._best[2].clone()
            report.residuals[-1] = norm
        return x, residual, noise

    def _scale(self, report: SolveReport) -> float:
        """About ‖A‖: the largest Ritz value, or, for a start that needs no iteration, what known products tell."""
        if report.curvature is not None:
            return max(map(abs, report.curvature))
        known = self._system.known
        if len(known) == 0:
            return 0.0
        return max(self._system.on_host(*known.stretch()))
