"""What products that are already known for the same matrix are good for: a start, and directions to stay clear of."""

from typing import NamedTuple

import torch
from torch import Tensor

from bissl_ray.bilevel.solvers.system import LinearSystem, Start


class Direction(NamedTuple):
    """A direction that was searched along: d, its image A d, and dᵀAd or ‖A d‖², whichever the method needs."""

    vector: Tensor
    image: Tensor
    size: Tensor

    def step(self, x: Tensor, r: Tensor, length: Tensor) -> None:
        """Go along it from x, whose residual is r, both in place."""
        x.addcmul_(length, self.vector)
        r.addcmul_(length, self.image, value=-1)


def galerkin_start(system: LinearSystem) -> tuple[Start, list[Direction]]:
    """The best combination of known vectors in the energy norm, at the cost of no product, and these vectors.

    With known vectors W and their images A W for A = M + H, the combination W c with
    (Wᵀ A W) c = Wᵀ v is the Galerkin projection (Saad 2003, section 5.1): its residual is orthogonal to
    all of W, so that conjugate gradients need not find again what earlier solves found (Fischer 1998, "Projection
    techniques for iterative solution of Ax = b with successive right-hand sides"). Nearly dependent vectors are
    dropped. The start is 0, and no vectors are given, where negative curvature was met, among them or beside them,
    or if the combination's residual is no smaller than that of 0.
    """
    known = system.known
    if known.indefinite:
        return Start.at_zero(system), []
    moments = [vector.dot(system.rhs) for vector in known.vectors]
    return _start(system, moments, known.energies(), system.close_enough(0.0) ** 0.5)


def least_residual_start(system: LinearSystem) -> tuple[Start, list[Direction]]:
    """The combination of known vectors whose residual is least, at the cost of no product, and these vectors.

    It solves min ‖v − A W c‖ and so holds for any curvature, negative too. The start is 0, and no vectors are given,
    where rounding makes the combination's residual no smaller than that of 0.
    """
    known = system.known
    moments = [image.dot(system.rhs) for image in known.images]
    return _start(system, moments, known.squares(), system.close_enough(0.0))


def _start(
    system: LinearSystem, moments: list[Tensor], rows: list[list[Tensor]], threshold: float
) -> tuple[Start, list[Direction]]:
    nothing: list[Direction] = []
    if not moments:
        return Start.at_zero(system), nothing
    numbers = torch.tensor(system.on_host(*moments, *(number for row in rows for number in row)), dtype=torch.float64)
    coefficients = _solve(_symmetric(numbers[len(moments) :], len(moments)), numbers[: len(moments)], threshold)
    if coefficients is None:
        return Start.at_zero(system), nothing
    x, residual = torch.zeros_like(system.rhs), system.rhs.clone()
    pairs = list(zip(system.known.vectors, system.known.images, strict=True))
    for coefficient, (vector, image) in zip(coefficients.tolist(), pairs, strict=True):
        x.add_(vector, alpha=coefficient)
        residual.sub_(image, alpha=coefficient)
    norm = system.norm(residual)
    # Not "norm >= 1": a norm that is not a number is refused too.
    if not norm < 1.0:
        return Start.at_zero(system), nothing
    directions = [Direction(vector, image, row[-1]) for (vector, image), row in zip(pairs, rows, strict=True)]
    return Start(x, residual, norm, cold=False), directions


def _symmetric(numbers: Tensor, size: int) -> Tensor:
    """A symmetric matrix, `[size, size]`, from its lower triangle, row after row."""
    matrix = numbers.new_zeros(size, size)
    rows, columns = torch.tril_indices(size, size)
    matrix[rows, columns] = numbers
    return matrix + matrix.tril(-1).T


def _solve(matrix: Tensor, moments: Tensor, threshold: float) -> Tensor | None:
    """Solve a small symmetric system without its nearly null directions; None where it is not positive."""
    if not (bool(matrix.isfinite().all()) and bool((matrix.diagonal() > 0).all())):
        return None
    scale = matrix.diagonal().rsqrt()
    values, directions = torch.linalg.eigh(matrix * scale * scale[:, None])
    if values[0] < -threshold:
        return None
    kept = values > threshold * values[-1]
    basis = directions[:, kept]
    solution: Tensor = scale * (basis @ ((basis.T @ (scale * moments)) / values[kept]))
    return solution
