"""The README's example of adding a pretext task: one file, one line that names it, and this test."""

import pytest
import torch

from bissl_ray.bilevel import GaussNewton, LowerHessian
from bissl_ray.config.names import PRETEXTS
from bissl_ray.config.settings import Settings
from bissl_ray.models import build_backbone
from bissl_ray.parallel import rank, world_size
from bissl_ray.pretext import build_pretext
from tests.pretext.own_task import SpectralContrastive
from tests.processes import run_workers


def derivatives():
    """Gradient, Hessian product and Gauss-Newton product of this worker's share of one batch of twelve images."""
    torch.manual_seed(0)
    backbone = build_backbone("smallconv")
    task = SpectralContrastive(backbone.feature_dim, 12, 6, "synchronised")
    views = tuple(torch.randn(2, 12, 3, 8, 8).chunk(world_size(), dim=1)[rank()])
    theta = list(backbone.parameters())
    direction = torch.ones(sum(parameter.numel() for parameter in theta))
    H = LowerHessian(task.loss(backbone, views), theta)
    outputs, targets = task.outputs(backbone, views)
    G = GaussNewton(outputs, lambda judged: task.criterion(judged, targets), theta)
    gradient = torch.cat([part.detach().flatten() for part in H.gradient])
    return gradient, H.flat_matvec(direction), G.flat_matvec(direction)


def on_each_worker(worker, workers):
    return derivatives()


def test_two_workers_find_what_one_does():
    alone = derivatives()
    assert float(alone[2].sum()) > 0
    for worker in run_workers(on_each_worker, 2):
        for found, expected in zip(worker, alone, strict=True):
            assert float((found - expected).norm() / expected.norm()) < 1e-5


def test_loss_is_the_published_formula():
    backbone = build_backbone("smallconv")
    task = SpectralContrastive(backbone.feature_dim, 12, 6, "synchronised")
    views = torch.randn(2, 4, 3, 8, 8)
    first, second = (task.projector(backbone(view)) for view in views)
    alike = sum(one @ other for one, other in zip(first, second, strict=True)) / 4
    apart = sum((first[i] @ second[j]) ** 2 for i in range(4) for j in range(4) if i != j) / 12
    assert task.loss(backbone, tuple(views)).item() == pytest.approx((apart - 2 * alike).item(), rel=1e-5)


def test_its_line_makes_it_a_pretext_that_a_trial_can_name(monkeypatch):
    monkeypatch.setitem(PRETEXTS, "spectral", "tests.pretext.own_task:SpectralContrastive")
    settings = Settings(backbone="smallconv", pretext="spectral", projector_width=12, projector_output=6)
    assert isinstance(build_pretext(settings, build_backbone("smallconv")), SpectralContrastive)
