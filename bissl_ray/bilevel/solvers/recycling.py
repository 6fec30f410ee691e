"""A start from products that are already known for the same matrix."""

import math

import torch
from torch import Tensor

from bissl_ray.bilevel.known_products import symmetric
from bissl_ray.bilevel.solvers.system import LinearSystem, Start


def galerkin_start(system: LinearSystem) -> Start:
    """The best combination of known vectors in the energy norm, at the cost of no product.

    With known vectors W and their images A W for A = M + H, the combination W c with
    (Wᵀ A W) c = Wᵀ v is the Galerkin projection (Saad 2003, section 5.1): its residual is orthogonal to
    all of W, so that conjugate gradients need not find again what earlier solves found (Fischer 1998, "Projection
    techniques for iterative solution of Ax = b with successive right-hand sides"). Nearly dependent vectors are
    dropped. The start is 0 if curvature among the known vectors is not positive, or if the combination's residual
    is no smaller than that of 0.
    """
    known = system.known
    if len(known) == 0:
        return Start.at_zero(system)
    size = len(known)
    moments = [vector.dot(system.rhs) for vector in known.vectors]
    numbers = system.on_host(*moments, *known.energies())
    matrix = symmetric(numbers[size:], size)
    if not (bool(matrix.isfinite().all()) and bool((matrix.diagonal() > 0).all())):
        return Start.at_zero(system)
    coefficients = _solve(matrix, torch.tensor(numbers[:size], dtype=torch.float64), system.close_enough(0.0) ** 0.5)
    return Start.at_zero(system) if coefficients is None else _combine(system, coefficients)


def least_residual_start(system: LinearSystem) -> Start:
    """The combination of known vectors whose residual is least, at the cost of no product.

    It solves min ‖v − A W c‖ and so holds for any curvature, negative too. The start is 0 where rounding makes the
    combination's residual no smaller than that of 0.
    """
    known = system.known
    if len(known) == 0:
        return Start.at_zero(system)
    size = len(known)
    moments = [image.dot(system.rhs) for image in known.images]
    numbers = system.on_host(*moments, *known.squares())
    matrix = symmetric(numbers[size:], size)
    if not (bool(matrix.isfinite().all()) and bool((matrix.diagonal() > 0).all())):
        return Start.at_zero(system)
    coefficients = _solve(matrix, torch.tensor(numbers[:size], dtype=torch.float64), system.close_enough(0.0))
    return Start.at_zero(system) if coefficients is None else _combine(system, coefficients)


def _solve(matrix: Tensor, moments: Tensor, threshold: float) -> Tensor | None:
    """Solve a small symmetric system without its nearly null directions; None where it is not positive."""
    scale = matrix.diagonal().rsqrt()
    values, directions = torch.linalg.eigh(matrix * scale * scale[:, None])
    if values[0] < -threshold:
        return None
    kept = values > threshold * values[-1]
    basis = directions[:, kept]
    solution: Tensor = scale * (basis @ ((basis.T @ (scale * moments)) / values[kept]))
    return solution


def _combine(system: LinearSystem, coefficients: Tensor) -> Start:
    x, residual = torch.zeros_like(system.rhs), system.rhs.clone()
    for coefficient, vector, image in zip(
        coefficients.tolist(), system.known.vectors, system.known.images, strict=True
    ):
        x.add_(vector, alpha=coefficient)
        residual.sub_(image, alpha=coefficient)
    norm = math.sqrt(system.on_host(residual.dot(residual))[0])
    return Start(x, residual, norm, cold=False) if norm < 1.0 else Start.at_zero(system)
