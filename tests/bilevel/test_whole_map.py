"""The gradient of θ_D → L_D(θ*(θ_D)) + γ L_D(θ_D) as a whole, with a proximity weight per parameter tensor."""

import pytest
import torch
from torch.nn import functional as F

from bissl_ray.bilevel import LowerHessian, hypergradient
from bissl_ray.config.settings import SolverSettings
from bissl_ray.pretext import nt_xent
from tests.bilevel.minimum import minimum_of
from tests.bilevel.quadratic import ENTRIES, entries_of, hessian_of, pieces, symmetric, whole

GAMMA = 0.4


def randn(*shape, seed):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def relative_error(found, expected):
    return float((found - expected).norm() / expected.norm())


def gradient(function, point):
    return torch.autograd.functional.jacobian(function, point)


@pytest.mark.parametrize("seed", range(4))
def test_a_quadratic_lower_level_has_the_closed_form_with_random_weights(seed):
    proximity = tuple((10 ** randn(3, seed=seed)).tolist())  # about 0.1 to 10
    A, weights = symmetric((3 * randn(ENTRIES, seed=10 + seed).abs()).tolist(), seed), entries_of(proximity)

    def upper(theta):
        return (theta * randn(ENTRIES, seed=20 + seed)).sin().sum()

    def lower_solution(anchor):
        # The stationary point of ½ θᵀAθ + Σθ + ½ Σ λ (θ - θ_D)².
        return torch.linalg.solve(A + torch.diag(weights), weights * anchor - 1)

    anchor = randn(ENTRIES, seed=30 + seed)
    expected = gradient(lambda a: upper(lower_solution(a)) + GAMMA * upper(a), anchor)
    v, direct = gradient(upper, lower_solution(anchor)), GAMMA * gradient(upper, anchor)
    settings = SolverSettings(damping=0.0, cg_iterations=50, cg_tolerance=0.0)
    result = hypergradient(hessian_of(A), pieces(v), pieces(direct), settings, proximity)
    assert relative_error(whole(result.total), expected) < 1e-12
    other_order = torch.linalg.solve(A + torch.diag(weights), weights * v) + direct
    assert relative_error(other_order, expected) > 0.15  # 19% to 30% off


# A contrastive loss of a network with batch norm, far from quadratic.
SHAPES = [(4, 4), (4,), (4,), (4, 3)]
SIZES = [torch.Size(shape).numel() for shape in SHAPES]
PROXIMITY = (0.8, 0.05, 2.0, 0.3)
WEIGHTS = torch.cat([torch.full((size,), w, dtype=torch.float64) for size, w in zip(SIZES, PROXIMITY, strict=True)])
ANCHOR = torch.cat([0.5 * randn(16, seed=6), 1 + 0.1 * randn(4, seed=7), 0.1 * randn(4, seed=8), randn(12, seed=9)])
IMAGES, CHANGES = randn(6, 4, seed=1), 0.3 * randn(2, 6, 4, seed=2)
PROJECTOR = randn(3, 3, seed=4)
OTHERS, LABELS = randn(9, 4, seed=5), torch.arange(9) % 3


def shaped(vector):
    return [part.view(shape) for part, shape in zip(vector.split(SIZES), SHAPES, strict=True)]


def features(theta, x):
    first, scale, shift, second = shaped(theta)
    return torch.tanh(F.batch_norm(x @ first, None, None, scale, shift, training=True)) @ second


def pretext(theta):
    return nt_xent(features(theta, (IMAGES + CHANGES).flatten(0, 1)).tanh() @ PROJECTOR, 0.5)


def downstream(theta):
    return F.cross_entropy(features(theta, OTHERS), LABELS)


def lower_solution(anchor, start):
    """argmin over θ of L_P + ½ Σ λ (θ - θ_D)², to a gradient below 1e-12: L-BFGS to get near, then Newton."""

    def objective(theta):
        return pretext(theta) + 0.5 * (WEIGHTS * (theta - anchor).square()).sum()

    return minimum_of(objective, start, near=1e-3, exact=1e-13)


def test_a_contrastive_lower_level_equals_central_differences_as_far_as_these_are_exact():
    """φ_P is a constant of the map, as the hypergradient takes it to be."""
    theta = lower_solution(ANCHOR, ANCHOR)
    parts = [part.clone().requires_grad_() for part in shaped(theta)]
    H = LowerHessian(pretext(torch.cat([part.reshape(-1) for part in parts])), parts)
    v, direct = gradient(downstream, theta), GAMMA * gradient(downstream, ANCHOR)
    settings = SolverSettings(damping=0.0, cg_iterations=200, cg_tolerance=0.0)
    result = hypergradient(H, shaped(v), shaped(direct), settings, PROXIMITY)
    total = torch.cat([part.reshape(-1) for part in result.total])

    def objective(anchor):
        return downstream(lower_solution(anchor, theta)) + GAMMA * downstream(anchor)

    directions = randn(3, len(theta), seed=11)

    def differences(step):
        ends = [objective(ANCHOR + side * step * d) for d in directions for side in (1, -1)]
        return torch.stack(ends).view(-1, 2) @ torch.tensor([1.0, -1.0]).double() / (2 * step)

    slopes = directions @ total
    coarse, fine = differences(2e-4), differences(1e-4)
    # The differences' own error falls with the step squared; with that term extrapolated away, rounding is left.
    assert relative_error(coarse, slopes) == pytest.approx(4 * relative_error(fine, slopes), rel=1e-3)
    assert relative_error((4 * fine - coarse) / 3, slopes) < 1e-9

    M, curvature = torch.diag(WEIGHTS), torch.autograd.functional.hessian(pretext, theta)
    assert torch.linalg.eigvalsh(curvature)[0] < -0.1  # only the proximity makes this lower level convex
    other_order = torch.linalg.solve(M + curvature, M @ v) + direct
    assert relative_error(other_order, total) > 0.5  # 76% off
    assert relative_error(v + direct, total) > 0.3  # first order: 48% off
