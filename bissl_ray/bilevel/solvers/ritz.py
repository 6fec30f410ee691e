"""Ritz values: what a Krylov method learns about the eigenvalues on its way."""

import math
from collections.abc import Sequence

import torch


def extreme_eigenvalues(diagonal: Sequence[float], beside: Sequence[float]) -> tuple[float, float]:
    """Smallest and largest eigenvalue of a symmetric tridiagonal matrix.

    Args:
        diagonal: its diagonal, n numbers, n ≥ 1.
        beside: the numbers next to the diagonal, n − 1.
    """
    matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    if beside:
        upper = torch.diag(torch.tensor(beside, dtype=torch.float64), diagonal=1)
        matrix += upper + upper.T
    values = torch.linalg.eigvalsh(matrix)
    return float(values[0]), float(values[-1])


class ConjugateGradientRitz:
    """Builds the Lanczos matrix of a conjugate-gradient run from its step sizes (Saad 2003, section 6.7.3).

    Its eigenvalues approach the extreme eigenvalues of the solved matrix from inside the spectrum. A step of
    negative curvature may be added as the last one: then the smallest is negative.
    """

    def __init__(self) -> None:
        self._diagonal: list[float] = []
        self._beside: list[float] = []
        self._carry = 0.0

    def add(self, inverse_step: float) -> None:
        """Add an iteration by pᵀAp / rᵀr, the inverse of its step size."""
        self._diagonal.append(inverse_step + self._carry)

    def turn(self, inverse_step: float, beta: float) -> None:
        """Add how the next direction follows: β = rᵀr after the iteration / rᵀr before it."""
        self._beside.append(math.sqrt(beta) * inverse_step)
        self._carry = beta * inverse_step

    def extremes(self) -> tuple[float, float] | None:
        """Smallest and largest Ritz value; None before the first iteration."""
        if not self._diagonal:
            return None
        return extreme_eigenvalues(self._diagonal, self._beside[: len(self._diagonal) - 1])
