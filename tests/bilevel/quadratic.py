"""A quadratic lower loss whose Hessian is known: H couples all entries of all parameter tensors."""

import torch

from bissl_ray.bilevel import LowerHessian

SHAPES = [(3,), (2, 2), (1,)]
ENTRIES = 8


def shapes_of(entries):
    """SHAPES, with a last tensor of as many entries as are left."""
    return [*SHAPES[:-1], (entries - 7,)]


def symmetric(eigenvalues, seed=0):
    """A dense matrix with the given eigenvalues, in a random basis."""
    eigenvalues = torch.as_tensor(eigenvalues, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    size = len(eigenvalues)
    basis, _ = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=generator))
    return basis @ torch.diag(eigenvalues) @ basis.T


def hessian_of(matrix):
    """A LowerHessian of ½ θᵀ A θ + a linear term."""
    params = [torch.ones(shape, dtype=matrix.dtype, requires_grad=True) for shape in shapes_of(len(matrix))]
    theta = torch.cat([parameter.reshape(-1) for parameter in params])
    return LowerHessian(0.5 * theta @ matrix @ theta + theta.sum(), params)


def pieces(vector):
    """A vector as tensors of SHAPES."""
    shapes = shapes_of(len(vector))
    sizes = [torch.Size(shape).numel() for shape in shapes]
    return tuple(part.view(shape) for part, shape in zip(vector.split(sizes), shapes, strict=True))


def whole(tensors):
    """The inverse of `pieces`."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def entries_of(weights, entries=ENTRIES):
    """One number per tensor, repeated over its entries."""
    shapes = shapes_of(entries)
    return torch.cat([torch.full(s, w, dtype=torch.float64).reshape(-1) for s, w in zip(shapes, weights, strict=True)])


def rhs(seed=5, entries=ENTRIES):
    return torch.randn(entries, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def random_eigenvalues(seed, entries, smallest, largest):
    """Between two numbers, both among them, evenly spread over orders of magnitude."""
    places = torch.rand(entries, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    places[:2] = torch.tensor([0.0, 1.0])
    return smallest * (largest / smallest) ** places


def relative_residual(matrix, x, v):
    """‖v − A x‖ / ‖v‖, in double precision."""
    return float((v.double() - matrix.double() @ x.double()).norm() / v.double().norm())
