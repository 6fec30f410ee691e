"""Barlow Twins against the published formula, with numpy's correlations."""

import numpy as np
import pytest
import torch

from bissl_ray.config.settings import Settings
from bissl_ray.models import build_backbone
from bissl_ray.pretext import BarlowTwins, build_pretext, cross_correlation

EPSILON = 1e-5


def by_hand(first, second, redundancy, scale):
    """Zbontar et al. 2021, equations 1 and 2, entry by entry; as published, epsilon is added to each variance."""
    first, second = ((z - z.mean(0)) / np.sqrt(z.var(0) + EPSILON) for z in (first, second))
    total, (n, d) = 0.0, first.shape
    for i in range(d):
        for j in range(d):
            found = sum(first[b, i] * second[b, j] for b in range(n)) / n
            total += (1 - found) ** 2 if i == j else redundancy * found**2
    return scale * total


def loss(first, second, redundancy=0.0051, scale=1.0):
    found = cross_correlation(first, second)
    task = BarlowTwins(8, 12, found.shape[0], redundancy, scale, "synchronised")
    return task.criterion(found, torch.eye(found.shape[0], dtype=found.dtype))


@pytest.fixture
def views():
    torch.manual_seed(0)
    embeddings = torch.randn(9, 4, dtype=torch.float64)
    scales = torch.tensor([0.1, 0.5, 1.0, 20.0])
    return [embeddings * scales + 3, (embeddings + 0.5 * torch.randn(9, 4, dtype=torch.float64)) * scales - 1]


@pytest.mark.parametrize(("redundancy", "scale"), [(0.0051, 1.0), (0.5, 0.024), (0.0, 1.0)])
def test_loss_is_the_published_formula(views, redundancy, scale):
    found = float(loss(*views, redundancy, scale))
    assert found == pytest.approx(by_hand(*(view.numpy() for view in views), redundancy, scale), rel=1e-12)


def test_the_matrix_is_that_of_correlations(views):
    first, second = views
    expected = np.corrcoef(first.numpy(), second.numpy(), rowvar=False)[:4, 4:]
    assert cross_correlation(first, second).numpy() == pytest.approx(
        expected, abs=1e-3
    )  # epsilon is 1e-3 of a variance


def test_where_both_views_agree_only_redundancy_is_left(views):
    first, _ = views
    assert float(loss(first, 7 * first - 2, redundancy=0.0)) == pytest.approx(0, abs=1e-5)
    assert float(loss(first, first.roll(1, dims=1), redundancy=0.0)) > 0.5


def test_derivatives_are_right_to_second_order(views):
    small = [view[:5].clone().requires_grad_() for view in views]
    assert torch.autograd.gradcheck(loss, small)
    assert torch.autograd.gradgradcheck(loss, small)


def test_loss_of_views_goes_through_backbone_and_projector_view_by_view():
    torch.manual_seed(0)
    settings = Settings(
        backbone="smallconv", pretext="barlow_twins", projector_width=12, projector_output=5,
        barlow_redundancy=0.3, barlow_scale=0.7,
    )  # fmt: skip
    backbone = build_backbone("smallconv").double()
    task = build_pretext(settings, backbone)
    views = torch.randn(2, 4, 3, 8, 8, dtype=torch.float64)
    first, second = (task.projector(backbone(view)).detach().numpy() for view in views)
    assert task.loss(backbone, tuple(views)).item() == pytest.approx(by_hand(first, second, 0.3, 0.7), rel=1e-12)
    assert task.head_parameters() == list(task.parameters())
