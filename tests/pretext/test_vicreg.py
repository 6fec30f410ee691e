"""VICReg against the published formula, term by term, in numpy."""

import numpy as np
import pytest
import torch

from bissl_ray.config.settings import Settings
from bissl_ray.models import build_backbone
from bissl_ray.pretext import VICReg, build_pretext, statistics


def variance_by_hand(embeddings):
    deviations = [np.sqrt(np.var(column, ddof=1) + 1e-4) for column in embeddings.T]
    return np.mean([max(0.0, 1 - deviation) for deviation in deviations])


def covariance_by_hand(embeddings):
    matrix = np.cov(embeddings, rowvar=False)
    d = len(matrix)
    return sum(matrix[i, j] ** 2 for i in range(d) for j in range(d) if i != j) / d


def by_hand(first, second, similarity, variance, covariance):
    return (
        similarity * np.mean((first - second) ** 2)
        + variance * (variance_by_hand(first) + variance_by_hand(second)) / 2
        + covariance * (covariance_by_hand(first) + covariance_by_hand(second))
    )


def task(similarity=25.0, variance=25.0, covariance=1.0):
    return VICReg(8, 12, 5, similarity, variance, covariance, "synchronised")


def loss(embeddings, **weights):
    return task(**weights).criterion(*statistics(embeddings))


@pytest.fixture
def embeddings():
    """Dimensions that deviate by less than 1 and by more, far from the origin."""
    torch.manual_seed(0)
    return torch.randn(2, 9, 5, dtype=torch.float64) * torch.tensor([0.2, 0.6, 0.9, 1.5, 3.0]) + 4


@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
def test_loss_is_the_published_formula(embeddings, weights):
    found = loss(embeddings, **dict(zip(("similarity", "variance", "covariance"), weights, strict=True)))
    assert float(found) == pytest.approx(by_hand(*embeddings.numpy(), *weights), rel=1e-12)


def test_derivatives_are_right_to_second_order(embeddings):
    small = embeddings[:, :4].clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, small)
    assert torch.autograd.gradgradcheck(loss, small)


def test_one_point_has_finite_derivatives_in_float32():
    embeddings = torch.ones(2, 4, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(embeddings), embeddings, create_graph=True)
    (product,) = torch.autograd.grad(gradient, embeddings, torch.ones_like(embeddings))
    assert gradient.isfinite().all() and product.isfinite().all()


def test_loss_of_views_goes_through_backbone_and_projector_view_by_view():
    torch.manual_seed(0)
    settings = Settings(
        backbone="smallconv", pretext="vicreg", projector_width=12, projector_output=5,
        vicreg_similarity=3.0, vicreg_variance=5.0, vicreg_covariance=7.0,
    )  # fmt: skip
    backbone = build_backbone("smallconv").double()
    built = build_pretext(settings, backbone)
    views = torch.randn(2, 4, 3, 8, 8, dtype=torch.float64)
    first, second = (built.projector(backbone(view)).detach().numpy() for view in views)
    assert built.loss(backbone, tuple(views)).item() == pytest.approx(by_hand(first, second, 3, 5, 7), rel=1e-12)
    assert built.head_parameters() == list(built.parameters())


def test_the_gauss_newton_matrix_by_embeddings_is_the_hessian_without_the_variance_and_covariance_of_second_order():
    """Of the distance between views all is kept, and of the variance nothing: its Hessian is never positive."""
    torch.manual_seed(1)
    embeddings = 0.3 * torch.randn(2, 5, 3, dtype=torch.float64)
    distance = torch.autograd.functional.hessian(
        lambda z: VICReg.criterion(_weighted(1, 0), *statistics(z)), embeddings
    )
    variance = torch.autograd.functional.hessian(
        lambda z: VICReg.criterion(_weighted(0, 1), *statistics(z)), embeddings
    )
    outputs, targets = statistics(embeddings)
    J = torch.autograd.functional.jacobian(lambda z: statistics(z)[0], embeddings).reshape(outputs.numel(), -1)
    for weights, hessian in (((1, 0), distance), ((0, 1), variance)):
        bent = torch.autograd.functional.hessian(
            lambda o, weights=weights: VICReg.criterion(_weighted(*weights), o, targets), outputs
        )
        kept = J.T @ bent.reshape(outputs.numel(), -1) @ J
        expected = hessian.reshape(embeddings.numel(), -1) if weights == (1, 0) else torch.zeros_like(kept)
        torch.testing.assert_close(kept, expected, rtol=0, atol=1e-12)
    assert torch.linalg.eigvalsh(variance.reshape(30, 30)).max() < 1e-10


def _weighted(similarity, variance):
    return task(similarity=similarity, variance=variance, covariance=0.0)
