"""Products whose graph is rebuilt, for the whole batch or in chunks, against one graph that is kept."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bissl_ray.bilevel import (
    GaussNewton,
    GradientGraph,
    LowerHessian,
    OutputGraph,
    RecomputedCurvature,
    RecomputedHessian,
)
from bissl_ray.bilevel.curvature.memory import PeakBytes

IMAGES = torch.randn(12, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
TARGETS = F.normalize(torch.randn(12, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)), dim=1)


def distance(images, targets, net):
    """A mean over images, as BYOL's."""
    return (net(images) - targets).square().sum(1).mean()


def contrast(images, targets, net):
    """Images meet each other, as in SimCLR."""
    embeddings = F.normalize(net(images), dim=1)
    return F.cross_entropy(embeddings @ embeddings.T / 0.5, torch.arange(len(images)).flip(0))


def network(*between):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), *between, nn.Tanh(), nn.Linear(6, 3)).double()


def chunks(loss, net, count):
    pairs = zip(IMAGES.chunk(count), TARGETS.chunk(count), strict=True)
    return [partial(loss, images, targets, net) for images, targets in pairs]


def product(operator):
    entries = sum(parameter.numel() for parameter in operator.params)
    return operator.flat_matvec(torch.linspace(-1, 1, entries, dtype=torch.float64))


def assert_same(found, expected):
    torch.testing.assert_close(product(found), product(expected), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(found.loss, expected.loss, rtol=1e-12, atol=0)
    assert found.products == 1


@pytest.mark.parametrize("loss", [distance, contrast])
def test_one_chunk_is_the_kept_hessian(loss):
    net = network(nn.BatchNorm1d(6))
    params = list(net.parameters())
    assert_same(RecomputedHessian(chunks(loss, net, 1), params), LowerHessian(loss(IMAGES, TARGETS, net), params))


def test_chunks_of_a_mean_over_images_are_the_whole():
    net = network()
    params = list(net.parameters())
    whole = LowerHessian(distance(IMAGES, TARGETS, net), params)
    assert_same(RecomputedHessian(chunks(distance, net, 3), params), whole)


@pytest.mark.parametrize("loss", [distance, contrast])
def test_chunks_whose_images_meet_have_the_hessian_of_the_mean_of_their_losses(loss):
    net = network(nn.BatchNorm1d(6))
    params = list(net.parameters())
    mean = torch.stack([chunk() for chunk in chunks(loss, net, 3)]).mean()
    found = RecomputedHessian(chunks(loss, net, 3), params)
    assert_same(found, LowerHessian(mean, params))
    whole = product(LowerHessian(loss(IMAGES, TARGETS, net), params))
    assert (product(found) - whole).norm() > 0.01 * whole.norm()


def test_gauss_newton_is_recomputed_in_chunks_as_well():
    net = network()
    params = list(net.parameters())

    def graph(images, targets):
        return OutputGraph(net(images), lambda outputs: (outputs - targets).square().sum(1).mean(), params)

    pairs = zip(IMAGES.chunk(3), TARGETS.chunk(3), strict=True)
    found = RecomputedCurvature([partial(graph, *pair) for pair in pairs], params)
    whole = GaussNewton(net(IMAGES), lambda outputs: (outputs - TARGETS).square().sum(1).mean(), params)
    assert_same(found, whole)


def test_a_product_in_chunks_takes_the_memory_of_one():
    """A wide net on many images: activations outweigh the parameters."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 3)).double()
    params = list(net.parameters())
    images = torch.randn(4096, 4, dtype=torch.float64)
    vector = torch.randn(sum(parameter.numel() for parameter in params), dtype=torch.float64)

    def peak(parts):
        losses = [partial(lambda part: net(part).square().mean(), part) for part in parts]
        with PeakBytes() as counted:
            with RecomputedHessian(losses, params) as operator:
                operator.flat_matvec(vector)
            assert counted.live < 1.1 * vector.nbytes  # only the operator's loss, once the product is dropped
        return counted.bytes

    one = peak(images.chunk(8)[:1])
    assert peak(images.chunk(8)) < 1.1 * one
    assert peak([images]) > 6 * one


def test_no_losses_and_closed_operators_are_refused():
    net = network()
    params = list(net.parameters())
    with pytest.raises(ValueError, match="expected at least one"):
        RecomputedHessian([], params)
    frozen = [*params, torch.zeros(2, dtype=torch.float64)]
    with pytest.raises(ValueError, match=r"parameter 4 of shape \(2,\) is frozen"):
        RecomputedCurvature([lambda: GradientGraph(distance(IMAGES, TARGETS, net), frozen)], frozen)
    with RecomputedHessian(chunks(distance, net, 1), params) as operator:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        product(operator)
