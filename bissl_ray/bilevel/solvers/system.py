"""The linear system that every solver gets, where it starts, and what it gives back."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bissl_ray.bilevel.curvature.operator import CurvatureOperator
from bissl_ray.bilevel.known_products import KnownProducts
from bissl_ray.bilevel.report import SolveReport
from bissl_ray.parallel import copy_from_first_worker


@dataclass(frozen=True)
class LinearSystem:
    """(M + H) x = v on one flat vector of all parameter entries, with ‖v‖ = 1: residuals are relative ones.

    Attributes:
        curvature: H.
        diagonal: the diagonal of M, positive; one number, or `[entries]`.
        rhs: v, `[entries]`.
        known: products with this M + H that earlier solves left, and where solvers leave theirs.
    """

    curvature: CurvatureOperator
    diagonal: Tensor
    rhs: Tensor
    known: KnownProducts

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
