"""How a linear system with M + H is solved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bissl_ray.bilevel.solvers import SOLVERS
from bissl_ray.errors import nearest


@dataclass(frozen=True)
class SolverSettings:
    """How M (M + H)⁻¹ v is computed; see `solve` for the meaning of each.

    Raises:
        ValueError: a number out of range, or a method that is not known.
    """

    proximity: float | Sequence[float]
    damping: float
    method: str = "cg"
    iterations: int = 5
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.method not in SOLVERS:
            expected = ", ".join(map(repr, SOLVERS)) + nearest(self.method, SOLVERS)
            raise ValueError(f"unknown method {self.method!r}: expected one of {expected}")
        if not isinstance(self.iterations, int):
            raise ValueError(f"iterations is {self.iterations!r}: expected a whole number")
        if self.iterations < 0:
            raise ValueError(f"iterations is {self.iterations}: expected 0 (no solve) or more")
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"tolerance is {self.tolerance}: expected 0 (never) or more and less than 1")
        if not (math.isfinite(self.damping) and self.damping >= 0):
            raise ValueError(f"damping is {self.damping}: expected 0 or more")
        weights = self.proximity
        named = (
            {f"proximity[{position}]": weight for position, weight in enumerate(weights)}
            if isinstance(weights, Sequence)
            else {"proximity": weights}
        )
        for name, weight in named.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"{name} is {weight}: expected 0 or more")
            if weight + self.damping == 0:
                raise ValueError(f"{name} + damping is 0: M must be positive; raise the weight or the damping")
