"""The README's example of adding a pretext task: one file, one line that names it, and this test."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from bissl_ray.bilevel import GaussNewton, LowerHessian
from bissl_ray.config.names import PRETEXTS
from bissl_ray.config.settings import Settings
from bissl_ray.models import build_backbone
from bissl_ray.parallel import rank, world_size
from bissl_ray.pretext import build_pretext
from bissl_ray.training.curvature import estimate_curvature_memory
from tests.pretext.own_task import SpectralContrastive
from tests.processes import run_workers
from tests.training.small_trial import Reports, order, run, settings


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


def test_a_constructor_gets_the_settings_that_it_names_and_keeps_its_own_defaults():
    class WithMargin(SpectralContrastive):
        def __init__(self, feature_dim, projector_output, temperature, margin=0.25):
            super().__init__(feature_dim, 12, projector_output, "per_worker")
            self.read = temperature, margin

    settings = Settings(backbone="smallconv", projector_output=6, temperature=0.4)
    assert WithMargin.from_settings(settings, build_backbone("smallconv")).read == (0.4, 0.25)


def test_its_line_makes_it_a_pretext_that_a_trial_can_name(monkeypatch):
    monkeypatch.setitem(PRETEXTS, "spectral", "tests.pretext.own_task:SpectralContrastive")
    settings = Settings(backbone="smallconv", pretext="spectral", projector_width=12, projector_output=6)
    assert isinstance(build_pretext(settings, build_backbone("smallconv")), SpectralContrastive)


class SmallAndLarge(SpectralContrastive):
    """Batches that are no tuple of tensors with a row an image: a dictionary of views of two sizes."""

    @classmethod
    def views(cls, spec, image_size):
        return HalfSizeToo(super().views(spec, image_size))

    @classmethod
    def collate(cls, samples):
        return {name: torch.stack([sample[name] for sample in samples]) for name in ("large", "small")}

    @classmethod
    def cut(cls, batch, images, parts):
        cut = {name: batch[name][:images].chunk(parts) for name in batch}
        return [{name: cut[name][part] for name in batch} for part in range(parts)]

    @classmethod
    def blank(cls, images, image_size):
        sizes = {"large": image_size, "small": image_size // 2}
        return {name: torch.empty(images, 3, size, size) for name, size in sizes.items()}

    def features(self, backbone, batch):
        return torch.cat([backbone(batch["large"]), backbone(batch["small"])])

    def embeddings(self, backbone, batch):
        return self.projector(backbone(batch["large"]))

    def outputs(self, backbone, batch, group=None):
        return super().outputs(backbone, (batch["large"], batch["small"]), group)


@dataclass(frozen=True)
class HalfSizeToo:
    """A picklable transform: the first view as it is, the second at half its size."""

    views: Callable[[Any], Any]

    def __call__(self, image):
        large, other = self.views(image)
        return {"large": large, "small": other[:, ::2, ::2]}


@pytest.mark.slow
@pytest.mark.parametrize("chunks", [1, 2])
def test_the_unlabelled_batch_is_the_tasks_own(tmp_path, monkeypatch, chunks):
    """Pretraining, the whole alternation with its diagnosis, and the memory estimate look into none."""
    monkeypatch.setitem(PRETEXTS, "two_sizes", "tests.pretext.test_own_task:SmallAndLarge")
    choice = {"pretext": "two_sizes", "curvature_batch": 8, "curvature_chunks": chunks, "loader_processes": 1}
    run(order(tmp_path, stages=("pretrain",), **choice))
    rows = Reports()
    result = run(order(tmp_path, stages=("head", "bissl"), **choice), reports=rows)
    assert result["hvps"] > 0 and 0 < result["embedding_rank"] <= 8
    assert estimate_curvature_memory(settings(**choice)).total > 0
