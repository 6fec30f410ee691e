"""Ritz values: what a Krylov method learns about the eigenvalues on its way."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def ritz_values(diagonal: Sequence[float], beside: Sequence[float]) -> tuple[float, ...]:
    """Eigenvalues of a symmetric tridiagonal matrix, in rising order.

    Args:
        diagonal: its diagonal, n numbers.
        beside: the numbers next to the diagonal, n − 1.
    """
    matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    if beside:
        upper = torch.diag(torch.tensor(beside, dtype=torch.float64), diagonal=1)
        matrix += upper + upper.T
    return tuple(torch.linalg.eigvalsh(matrix).tolist())


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

    def values(self) -> tuple[float, ...]:
        """The Ritz values in rising order; none before the first iteration."""
        return ritz_values(self._diagonal, self._beside[: len(self._diagonal) - 1])


class Lanczos:
    """The Lanczos process (Lanczos 1950), one product with A a step, each vector orthogonal to all before it.

    In single precision the three-term recurrence loses orthogonality as soon as an outlying eigenvalue is found,
    which is within ten steps for a Hessian whose largest eigenvalues stand a hundred times above the bulk:
    directions are then found anew, and Ritz values, negative ones too, counted twice. Against the cost of a
    product, orthogonalising by all earlier vectors is cheap; they are held while the process lives.

    Args:
        start: the first vector, of norm 1.
        scale: ‖A‖ as far as it is known already.

    Attributes:
        vector: the one to multiply by A next.
        rest: norm of what the last noted step left over.
        scale: the largest ‖A v‖ noted or known before, about ‖A‖.
    """

    def __init__(self, start: Tensor, scale: float = 0.0) -> None:
        self.vector = start
        self.rest = math.inf
        self.scale = scale
        self._basis = [start]
        self._diagonal: list[float] = []
        self._beside: list[float] = []

    def advance(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Go to the next vector, given A times this one.

        Returns:
            vᵀAv and the norm of what is left over, scalars on the device, for `note`.
        """
        energy = self.vector.dot(image)
        left = image.clone()
        for vector in reversed(self._basis):
            left.addcmul_(left.dot(vector), vector, value=-1)
        rest = torch.linalg.vector_norm(left)
        self.vector = left.div_(rest)
        self._basis.append(self.vector)
        return energy, rest

    def note(self, energy: float, rest: float) -> None:
        """Add what `advance` returned, now on the host, to the Lanczos matrix."""
        if self._diagonal:
            self._beside.append(self.rest)
        self._diagonal.append(energy)
        self.rest = rest
        self.scale = max(self.scale, math.hypot(energy, rest, *self._beside[-1:]))

    def exhausted(self, rounding: float) -> bool:
        """Whether nothing but relative rounding errors was left over: the vectors span an invariant subspace."""
        return self.rest <= rounding * self.scale

    def values(self) -> tuple[float, ...]:
        """The Ritz values in rising order; none before the first step."""
        return ritz_values(self._diagonal, self._beside)
