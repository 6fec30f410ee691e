"""Products on a CUDA device against those of the CPU."""

import pytest
import torch

from bissl_ray.bilevel import GaussNewton, LowerHessian, solve
from bissl_ray.models import build_backbone
from bissl_ray.pretext import SimCLR
from tests.gpu import DEVICE, needs_gpu

pytestmark = needs_gpu


def products(device, batch_norm):
    """A product of H, one of G, and a solve on each, in float64."""
    torch.manual_seed(0)
    backbone = build_backbone("resnet18", batch_norm)
    pretext = SimCLR(backbone.feature_dim, 16, 8, 0.5, batch_norm)
    views = torch.randn(8, 3, 32, 32, dtype=torch.float64).chunk(2)
    backbone, pretext, views = backbone.double().to(device), pretext.double().to(device), [v.to(device) for v in views]
    params = list(backbone.parameters())
    v = [torch.linspace(-1, 1, p.numel(), dtype=p.dtype, device=device).view(p.shape) for p in params]
    H = LowerHessian(pretext.loss(backbone, tuple(views)), params)
    outputs, targets = pretext.outputs(backbone, tuple(views))
    G = GaussNewton(outputs, lambda judged: pretext.criterion(judged, targets), params)
    results = [*H.gradient, *H.matvec(v), *G.matvec(v), *solve(G, v, 0.1, 1e3, iterations=8).x]
    return [result.cpu() for result in results]


@pytest.mark.parametrize("batch_norm", ["synchronised", "per_worker"])
def test_cuda_equals_the_cpu_in_float64(batch_norm):
    found, expected = products(DEVICE, batch_norm), products("cpu", batch_norm)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-8 * (1 + other.norm())
