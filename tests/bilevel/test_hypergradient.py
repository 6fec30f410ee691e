"""The whole map θ_D → upper objective against finite differences, its lower level solved to rounding."""

import torch
from torch.nn import functional as F

from bissl_ray.bilevel import LowerHessian, hypergradient
from bissl_ray.config.settings import SolverSettings

SHAPES = [(4, 3), (3,), (3, 2)]
PROXIMITY = (0.8, 0.3, 1.5)
GAMMA = 0.4


def randn(*shape, seed):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


INPUTS, TARGETS = randn(16, 4, seed=1), randn(16, 2, seed=2)
OTHERS, LABELS = randn(9, 4, seed=3), torch.arange(9) % 2
SIZES = [torch.Size(shape).numel() for shape in SHAPES]


def network(theta, x):
    w, b, u = (part.view(shape) for part, shape in zip(theta.split(SIZES), SHAPES, strict=True))
    return torch.tanh(x @ w + b) @ u


def lower(theta):
    return (network(theta, INPUTS) - TARGETS).square().mean()


def upper(theta):
    return F.cross_entropy(network(theta, OTHERS), LABELS)


def solve_lower(anchor):
    """argmin of the lower objective by Newton's method, to a gradient below 1e-13."""
    weights = torch.cat([torch.full((size,), w, dtype=torch.float64) for size, w in zip(SIZES, PROXIMITY, strict=True)])

    def objective(theta):
        return lower(theta) + 0.5 * (weights * (theta - anchor).square()).sum()

    theta = anchor.clone()
    for _ in range(50):
        gradient = torch.autograd.functional.jacobian(objective, theta)
        if gradient.norm() < 1e-13:
            return theta
        theta = theta - torch.linalg.solve(torch.autograd.functional.hessian(objective, theta), gradient)
    raise AssertionError(f"Newton stalled at {gradient.norm():.1e}")


def objective(anchor):
    return upper(solve_lower(anchor)) + GAMMA * upper(anchor)


def test_hypergradient_equals_central_differences():
    anchor = 0.7 * randn(sum(SIZES), seed=4)
    theta = solve_lower(anchor)
    parts = [p.view(s).clone().requires_grad_() for p, s in zip(theta.split(SIZES), SHAPES, strict=True)]
    H = LowerHessian(lower(torch.cat([p.reshape(-1) for p in parts])), parts)
    v = torch.autograd.functional.jacobian(upper, theta)
    direct = GAMMA * torch.autograd.functional.jacobian(upper, anchor)

    def shaped(vector):
        return [p.view(s) for p, s in zip(vector.split(SIZES), SHAPES, strict=True)]

    settings = SolverSettings(damping=0.0, cg_iterations=40, cg_tolerance=0.0)
    result = hypergradient(H, shaped(v), shaped(direct), settings, PROXIMITY)
    eps = 1e-5
    differences = torch.stack(
        [(objective(anchor + eps * e) - objective(anchor - eps * e)) / (2 * eps) for e in torch.eye(len(v)).double()]
    )
    total = torch.cat([part.reshape(-1) for part in result.total])
    torch.testing.assert_close(total, differences, rtol=1e-7, atol=1e-9)
    unsolved = SolverSettings(damping=0.0, cg_iterations=0)
    first_order = hypergradient(H, shaped(v), shaped(direct), unsolved, PROXIMITY)
    assert float(first_order.cosine) > 1 - 1e-12
    assert float(result.cosine) < 0.99
    assert (torch.cat([part.reshape(-1) for part in first_order.total]) - differences).norm() > 1e-2
