"""What happened in a linear solve."""

from dataclasses import dataclass, field
from typing import Literal

StopReason = Literal["tolerance", "iterations", "stagnated", "negative_curvature", "zero_rhs", "non_finite"]


@dataclass
class SolveReport:
    """The course of one solve of (M + H) x = v.

    Attributes:
        stopped_because: "tolerance" (the relative residual is small enough; with tolerance 0, at rounding level),
            "iterations" (all used), "stagnated" (more iterations don't bring the residual down to the tolerance:
            rounding, a singular M + H, or a method that is not for it), "negative_curvature" (M + H is not positive
            definite, and the solver needs it so), "zero_rhs" (v is 0, and so is x) or "non_finite" (a NaN or infinity
            appeared; x is the iterate before it).
        products: products with H, all that this solve used.
        residuals: relative residuals ‖v − (M + H) x‖ / ‖v‖, of the start and after each iteration. Empty
            for "identity": it computes no product, so the residual is unknown.
        curvature: smallest and largest Ritz value of M + H (not of H: the matrix that the solver
            needs positive); None where too few products were computed.
        negative_curvature: how many directions p with pᵀ(M + H)p ≤ 0 were met, or nonpositive Ritz values found.
        step_length: α of a Neumann series, at most 1 / (a bound on the largest eigenvalue); None for other methods.
    """

    stopped_because: StopReason
    products: int = 0
    residuals: list[float] = field(default_factory=list)
    curvature: tuple[float, float] | None = None
    negative_curvature: int = 0
    step_length: float | None = None

    @property
    def residual(self) -> float | None:
        """The relative residual of the solution; None where it is unknown."""
        return self.residuals[-1] if self.residuals else None

    def add_ritz_values(self, values: tuple[float, ...]) -> None:
        """Widen `curvature` by some Ritz values, in rising order, of M + H."""
        known = values if self.curvature is None else (*self.curvature, *values)
        if known:
            self.curvature = min(known), max(known)
