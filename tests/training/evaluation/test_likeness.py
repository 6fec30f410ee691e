"""CKA and distances of backbones, against closed forms."""

import math

import pytest
import torch
from torch import nn

from bissl_ray.training.evaluation.likeness import linear_cka, relative_distance, weights_of

# More images than features, and fewer: the products that are taken differ.
SHAPES = [(60, 5, 7), (6, 9, 20), (20, 20, 20)]


def features(images, *widths):
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(images, width, generator=generator, dtype=torch.float64) for width in widths]


@pytest.mark.parametrize("shape", SHAPES)
def test_cka_is_the_quotient_of_centred_gram_matrices(shape):
    x, y = features(*shape)
    n = shape[0]
    centre = torch.eye(n, dtype=torch.float64) - 1 / n
    k, el = (centre @ rows @ rows.T @ centre for rows in (x, y))
    expected = (k * el).sum() / math.sqrt((k * k).sum() * (el * el).sum())
    assert linear_cka(x, y) == pytest.approx(float(expected), rel=1e-12)
    assert linear_cka(y, x) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_cka_is_one_but_for_rotation_shift_and_scale(shape):
    x, y = features(*shape)
    rotation = torch.linalg.qr(features(x.shape[1], x.shape[1])[0]).Q
    assert linear_cka(x, x) == pytest.approx(1, abs=1e-12)
    assert linear_cka(x, 3.5 * x @ rotation + 7) == pytest.approx(1, abs=1e-12)
    assert linear_cka(x @ rotation, y) == pytest.approx(linear_cka(x, y), rel=1e-10)
    stretched = x * torch.linspace(0.1, 3, x.shape[1], dtype=torch.float64)
    assert linear_cka(x, stretched) < 0.99


def test_cka_of_orthogonal_features_is_zero():
    one = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    other = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    assert linear_cka(one, other) == 0


def test_cka_of_unrelated_features_is_about_their_number_over_that_of_images():
    # Of n images and white features of width d, both norms below are near n √d, and ‖YᵀX‖² is near n d².
    x, y = features(4000, 10, 10)
    assert linear_cka(x, y) == pytest.approx(10 / 4000, rel=0.5)


def test_cka_is_not_defined_where_all_images_are_alike():
    assert math.isnan(linear_cka(torch.ones(9, 4), features(9, 4)[0]))


def test_single_precision_features_are_compared_in_double():
    (x,) = features(300, 6)
    far = x.float() + 1000  # in single precision the products would keep three digits
    assert linear_cka(far, far * 2) == pytest.approx(1, abs=1e-12)


def test_a_distance_is_relative_to_the_start():
    backbone = nn.Linear(2, 2).double()
    with torch.no_grad():
        backbone.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 0.0]]))
        backbone.bias.copy_(torch.tensor([0.0, 4.0]))
        start = weights_of(backbone)
        assert relative_distance(backbone, start) == 0
        backbone.bias[0] += 2.5
        assert relative_distance(backbone, start) == pytest.approx(2.5 / 5)
        backbone.weight.zero_()
        backbone.bias.zero_()
    assert relative_distance(backbone, start) == pytest.approx(1)
    assert math.isnan(relative_distance(backbone, weights_of(backbone)))
