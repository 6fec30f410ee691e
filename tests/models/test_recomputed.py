"""Forwards that drop activations have the same gradient, and move running statistics once.

That they take less memory: tests/training/test_lower_memory.py.
"""

import copy
from contextlib import nullcontext

import pytest
import torch

from bissl_ray.errors import BadInputError
from bissl_ray.models import build_backbone
from bissl_ray.models.recomputed import InChunks, recomputed_blocks
from bissl_ray.pretext import build_pretext
from tests.processes import run_workers
from tests.training.small_trial import settings

EXACT = 1e-10
WAYS = [("smallconv", "blocks"), ("resnet18", "blocks"), ("vit_ti_16", "blocks"), ("vit_ti_16", "chunks")]
PRETEXTS = ("simclr", "byol", "vicreg")
IMAGES = 12


def build(backbone, pretext):
    torch.manual_seed(0)
    network = build_backbone(backbone, image_size=32)
    if backbone.startswith("vit"):
        del network.encoder.layers[2:]  # as right as deep, and quicker
    task = build_pretext(settings(pretext=pretext), network)
    return network.double(), task.double()


def views(worker=0, workers=1):
    both = torch.randn(2, IMAGES, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return tuple(both.chunk(workers, dim=1)[worker])


def step(backbone, pretext, way, worker=0, workers=1):
    """Loss and gradient as one vector, and the buffers afterwards."""
    network, task = build(backbone, pretext)
    params = [*network.parameters(), *task.head_parameters()]
    batch = views(worker, workers)
    with recomputed_blocks(network) if way == "blocks" else nullcontext():
        loss = task.loss(InChunks(network, 3) if way == "chunks" else network, batch)
    gradients = torch.autograd.grad(loss, params)
    buffers = copy.deepcopy([*network.buffers(), *task.buffers()])
    return torch.cat([part.reshape(-1) for part in (loss.detach(), *gradients)]), buffers


def assert_same(way, found, expected):
    assert (found[0] - expected[0]).norm() <= EXACT * expected[0].norm()
    for one, other in zip(found[1], expected[1], strict=True):
        # A part's matrices are smaller than the whole's, and may round otherwise on their way to the projector.
        assert torch.equal(one, other) if way == "blocks" else torch.allclose(one, other, rtol=EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("pretext", PRETEXTS)
@pytest.mark.parametrize(("backbone", "way"), WAYS)
def test_gradient_and_running_statistics_are_those_of_the_whole(backbone, way, pretext):
    assert_same(way, step(backbone, pretext, way), step(backbone, pretext, "whole"))


def both_ways(worker, workers):
    cases = [(backbone, way) for backbone, way in WAYS if (backbone, way) != ("vit_ti_16", "blocks")]
    return {
        (backbone, way, pretext): tuple(step(backbone, pretext, each, worker, workers) for each in (way, "whole"))
        for backbone, way in cases
        for pretext in PRETEXTS
    }


@pytest.mark.slow
def test_on_two_workers():
    for results in run_workers(both_ways, 2):
        for (_, way, _), (found, whole) in results.items():
            assert_same(way, found, whole)


def test_bfloat16_is_recomputed_bit_for_bit():
    found = []
    for context in (recomputed_blocks, lambda _: torch.enable_grad()):
        network, task = (module.float() for module in build("smallconv", "byol"))
        batch = tuple(view.float() for view in views())
        with torch.autocast("cpu", torch.bfloat16), context(network):
            loss = task.loss(network, batch)
        found.append(torch.autograd.grad(loss, [*network.parameters(), *task.head_parameters()]))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("backbone", ["smallconv", "resnet18", "vit_ti_16", "convnext_tiny"])
def test_afterwards_the_backbone_is_as_it_was(backbone):
    network = build_backbone(backbone, image_size=32)
    names = list(network.state_dict())
    methods = [getattr(owner, method) for owner, method in network.blocks()]
    assert len(methods) >= 4
    with pytest.raises(ZeroDivisionError), recomputed_blocks(network):
        assert list(network.state_dict()) == names
        assert methods != [getattr(owner, method) for owner, method in network.blocks()]
        raise ZeroDivisionError
    assert methods == [getattr(owner, method) for owner, method in network.blocks()]


def test_batch_norm_is_refused_in_chunks():
    with pytest.raises(BadInputError, match=r"chunks, and resnet18 normalises by .*; set lower_memory to blocks"):
        InChunks(build_backbone("resnet18"), 2)


def test_a_backbone_without_blocks_is_refused():
    network = build_backbone("smallconv")
    network.blocks = list
    with (
        pytest.raises(BadInputError, match="no blocks were found in smallconv; set it to whole"),
        recomputed_blocks(network),
    ):
        pass


def test_without_gradients_nothing_is_recorded():
    network = build_backbone("vit_ti_16", image_size=32)
    with torch.no_grad():
        images = torch.randn(5, 3, 32, 32)
        assert not InChunks(network, 2)(images).requires_grad
        torch.testing.assert_close(InChunks(network, 2)(images), network(images))
