"""The linear system that every solver gets, where it starts, what it gives back, and the report of how it went."""

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from bissl_ray.bilevel.curvature.operator import CurvatureOperator
from bissl_ray.bilevel.solvers.known_products import KnownProducts
from bissl_ray.parallel import copy_from_first_worker


@dataclass(frozen=True)
class LinearSystem:
    """(M + H) x = v on one flat vector of all parameter entries, with ‖v‖ = 1: residuals are relative ones.

    Attributes:
        curvature: H.
        diagonal: the diagonal of M, positive; one number, or `[entries]`.
        rhs: v, `[entries]`.
        known: products with this M + H that earlier solves left, and where solvers leave theirs.
        length: ‖v‖ before it was brought to 1: what is carried from system to system is for v as it was.
    """

    curvature: CurvatureOperator
    diagonal: Tensor
    rhs: Tensor
    known: KnownProducts
    length: float = 1.0

    def product(self, x: Tensor) -> Tensor:
        """(M + H) x, at the cost of one product with H."""
        return torch.addcmul(self.curvature.flat_matvec(x), self.diagonal, x)

    def on_host(self, *scalars: Tensor) -> list[float]:
        """Numbers to decide by, the same on all workers, in one synchronisation with the device.

        Worker 0's are taken: if workers on unlike devices rounded differently and one stopped before
        the others, these would wait for its products for ever.
        """
        values = torch.stack(scalars)
        copy_from_first_worker([values], self.curvature.group)
        return [float(value) for value in values.tolist()]

    def norm(self, vector: Tensor) -> float:
        """‖vector‖, on the host."""
        return math.sqrt(self.on_host(vector.dot(vector))[0])

    def close_enough(self, tolerance: float) -> float:
        """The relative residual to stop at: the tolerance, but never below rounding noise."""
        return max(tolerance, 8 * float(torch.finfo(self.rhs.dtype).eps))


@dataclass(frozen=True)
class Start:
    """Where an iteration starts.

    Attributes:
        x: `[entries]`; the iteration may write to it.
        residual: v − (M + H) x, `[entries]`; likewise.
        norm: ‖residual‖.
        cold: whether x is 0.
    """

    x: Tensor
    residual: Tensor
    norm: float
    cold: bool

    @classmethod
    def at_zero(cls, system: LinearSystem) -> "Start":
        """Start from x = 0, whose residual is v."""
        return cls(torch.zeros_like(system.rhs), system.rhs.clone(), norm=1.0, cold=True)


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
        step_length: of a Neumann series or of unrolled steps, at most 1 / (a bound on the largest eigenvalue); None for
            other methods.
        damping: what M had in it beside λ; None for the identity, whose answer doesn't depend on it.
        estimated: whether the last residual is an estimate from above, of a step whose product was not computed.
    """

    stopped_because: StopReason
    products: int = 0
    residuals: list[float] = field(default_factory=list)
    curvature: tuple[float, float] | None = None
    negative_curvature: int = 0
    step_length: float | None = None
    damping: float | None = None
    estimated: bool = False

    @property
    def residual(self) -> float | None:
        """The relative residual of the solution; None where it is unknown."""
        return self.residuals[-1] if self.residuals else None

    def add_ritz_values(self, values: tuple[float, ...]) -> None:
        """Widen `curvature` by some Ritz values, in rising order, of M + H."""
        known = values if self.curvature is None else (*self.curvature, *values)
        if known:
            self.curvature = min(known), max(known)


@dataclass(frozen=True)
class Outcome:
    """What a solver gives back.

    Attributes:
        x: the approximate solution, `[entries]`.
        residual: v − (M + H) x, `[entries]`; None where it was not computed.
        report: what happened.
    """

    x: Tensor
    residual: Tensor | None
    report: SolveReport
