"""A start from solutions that are already known for the same matrix."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bissl_ray.bilevel.solvers.system import LinearSystem, Start


def galerkin_start(system: LinearSystem, known: Sequence[tuple[Tensor, Tensor]]) -> Start:
    """The best combination of known solutions in the energy norm, at the cost of no product.

    With known vectors X and their images A X for the same A = M + H, the combination X c with
    (Xᵀ A X) c = Xᵀ v is the Galerkin projection (Saad 2003, section 5.1). Nearly dependent directions
    are dropped. The start is 0 if curvature among the known vectors is not positive, or if the combination's
    residual is no smaller than that of 0.

    Args:
        system: the system to be solved.
        known: vectors and their images under A, each `[entries]`.
    """
    if not known:
        return Start.at_zero(system)
    vectors = [vector for vector, _ in known]
    images = [image for _, image in known]
    products = [vector.dot(image) for vector in vectors for image in images]
    numbers = system.on_host(*products, *[vector.dot(system.rhs) for vector in vectors])
    size = len(known)
    matrix = torch.tensor(numbers[: size * size], dtype=torch.float64).view(size, size)
    moments = torch.tensor(numbers[size * size :], dtype=torch.float64)
    diagonal = matrix.diagonal()
    if not (bool(matrix.isfinite().all()) and bool((diagonal > 0).all())):
        return Start.at_zero(system)
    scale = diagonal.rsqrt()
    values, directions = torch.linalg.eigh((matrix + matrix.T) / 2 * scale * scale[:, None])
    if values[0] < -(system.close_enough(0.0) ** 0.5):
        return Start.at_zero(system)
    kept = values > system.close_enough(0.0) ** 0.5 * values[-1]
    basis = directions[:, kept]
    coefficients = scale * (basis @ ((basis.T @ (scale * moments)) / values[kept]))
    x, residual = torch.zeros_like(system.rhs), system.rhs.clone()
    for coefficient, vector, image in zip(coefficients.tolist(), vectors, images, strict=True):
        x.add_(vector, alpha=coefficient)
        residual.sub_(image, alpha=coefficient)
    norm = math.sqrt(system.on_host(residual.dot(residual))[0])
    return Start(x, residual, norm, cold=False) if norm < 1.0 else Start.at_zero(system)
