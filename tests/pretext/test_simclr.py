import math

import pytest
import torch

from bissl_ray.config.settings import Settings
from bissl_ray.models import build_backbone
from bissl_ray.pretext import build_pretext, nt_xent


def nt_xent_by_hand(embeddings, temperature):
    """Chen et al. 2020, equation 1, anchor by anchor."""
    rows = [[value / math.hypot(*row) for value in row] for row in embeddings.tolist()]
    count = len(rows)
    similarity = [[sum(a * b for a, b in zip(one, other, strict=True)) / temperature for other in rows] for one in rows]
    total = 0.0
    for anchor in range(count):
        partner = (anchor + count // 2) % count
        others = sum(math.exp(similarity[anchor][other]) for other in range(count) if other != anchor)
        total += math.log(others) - similarity[anchor][partner]
    return total / count


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_loss_is_the_published_formula(temperature):
    torch.manual_seed(0)
    embeddings = torch.randn(10, 6, dtype=torch.float64)
    found = float(nt_xent(embeddings, temperature))
    assert found == pytest.approx(nt_xent_by_hand(embeddings, temperature), rel=1e-12)


def test_both_views_of_an_image_are_partners():
    torch.manual_seed(0)
    view = torch.randn(6, 8, dtype=torch.float64)
    matched = nt_xent(torch.cat([view, view]), 0.1)
    mismatched = nt_xent(torch.cat([view, view.roll(1, dims=0)]), 0.1)
    assert matched < 0.1 < mismatched


def test_a_small_temperature_stays_finite_in_float32_to_second_order():
    torch.manual_seed(0)
    embeddings = torch.randn(8, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(nt_xent(embeddings, 0.001), embeddings, create_graph=True)
    (product,) = torch.autograd.grad(gradient, embeddings, torch.ones_like(embeddings))
    assert gradient.isfinite().all() and product.isfinite().all()


def test_loss_of_views_goes_through_backbone_and_projector():
    torch.manual_seed(0)
    settings = Settings(backbone="smallconv", projector_width=12, projector_output=5, temperature=0.2)
    backbone = build_backbone("smallconv").double()
    task = build_pretext(settings, backbone)
    first, second = torch.randn(2, 4, 3, 8, 8, dtype=torch.float64)
    embeddings = task.projector(backbone(torch.cat([first, second])))
    expected = nt_xent_by_hand(embeddings, 0.2)
    assert task.loss(backbone, (first, second)).item() == pytest.approx(expected, rel=1e-12)
    assert task.head_parameters() == list(task.parameters())
