"""A quadratic lower loss whose Hessian is known: H couples all entries of all parameter tensors."""

import torch

from bissl_ray.bilevel import LowerHessian

SHAPES = [(3,), (2, 2), (1,)]
ENTRIES = 8


def symmetric(eigenvalues, seed=0):
    """A dense matrix with the given eigenvalues, in a random basis."""
    generator = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(ENTRIES, ENTRIES, dtype=torch.float64, generator=generator))
    return basis @ torch.diag(torch.as_tensor(eigenvalues, dtype=torch.float64)) @ basis.T


def hessian_of(matrix):
    """A LowerHessian of ½ θᵀ A θ + a linear term."""
    params = [torch.ones(shape, dtype=torch.float64, requires_grad=True) for shape in SHAPES]
    theta = torch.cat([parameter.reshape(-1) for parameter in params])
    return LowerHessian(0.5 * theta @ matrix @ theta + theta.sum(), params)


def pieces(vector):
    """A vector as tensors of SHAPES."""
    sizes = [torch.Size(shape).numel() for shape in SHAPES]
    return tuple(part.view(shape) for part, shape in zip(vector.split(sizes), SHAPES, strict=True))


def whole(tensors):
    """The inverse of `pieces`."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def entries_of(weights):
    """One number per tensor, repeated over its entries."""
    return torch.cat([torch.full(s, w, dtype=torch.float64).reshape(-1) for s, w in zip(SHAPES, weights, strict=True)])


def rhs(seed=5):
    return torch.randn(ENTRIES, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
