"""Gradient and Hessian-vector product of a pretext loss do not depend on the number of workers."""

import pytest
import torch
import torch.distributed as dist

from bissl_ray.bilevel import LowerHessian
from bissl_ray.config.settings import Settings
from bissl_ray.models import build_backbone
from bissl_ray.parallel import frozen_statistics, rank, world_size
from bissl_ray.pretext import build_pretext, pretext_names, simclr
from tests.processes import run_workers

pytestmark = pytest.mark.slow

IMAGES = 8


def build(pretext):
    torch.manual_seed(0)
    settings = Settings(backbone="smallconv", pretext=pretext, projector_width=12, projector_output=6, temperature=0.3)
    backbone = build_backbone("smallconv").double()
    return backbone, build_pretext(settings, backbone)


def global_batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, IMAGES, 3, 8, 8, dtype=torch.float64, generator=generator)


def direction(parameters):
    generator = torch.Generator().manual_seed(2)
    return tuple(torch.randn(p.shape, dtype=p.dtype, generator=generator) for p in parameters)


def flat(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def curvature(pretext):
    """Gradient, product and statistics of this worker's share of the global batch."""
    backbone, task = build(pretext)
    share = IMAGES // world_size()
    own = global_batch()[:, rank() * share : (rank() + 1) * share]
    parameters = list(backbone.parameters())
    hessian = LowerHessian(task.loss(backbone, (own[0], own[1])), parameters)
    product = flat(hessian.matvec(direction(parameters)))
    statistics = flat(buffer.double() for module in (backbone, task) for buffer in module.buffers())
    return flat(hessian.gradient), product, statistics


class GatherReducedInPlace(torch.autograd.Function):
    """The gather as it is often written: autograd does not see the collective in its backward."""

    @staticmethod
    def forward(ctx, own, group):
        everyone = [torch.empty_like(own) for _ in range(world_size())]
        dist.all_gather(everyone, own.contiguous())
        return torch.cat(everyone)

    @staticmethod
    def backward(ctx, gradient):
        total = gradient.clone()
        dist.all_reduce(total)
        return total.chunk(world_size())[rank()], None


def every_curvature(rank, count):
    found = {pretext: curvature(pretext) for pretext in pretext_names()}
    simclr.all_gather = GatherReducedInPlace.apply
    return found | {"wrong gather": curvature("simclr")}


@pytest.fixture(scope="module")
def alone():
    return {pretext: curvature(pretext) for pretext in pretext_names()}


@pytest.fixture(scope="module")
def shared():
    """Of two workers; tests/bilevel/test_across_workers.py has four, with a smaller backbone."""
    return run_workers(every_curvature, 2)


def relative_error(found, expected):
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("pretext", pretext_names())
def test_workers_agree_with_one_process_on_the_same_global_batch(alone, shared, pretext):
    for worker in shared:
        for found, expected in zip(worker[pretext], alone[pretext], strict=True):
            assert relative_error(found, expected) < 1e-10


def test_a_gather_that_autograd_cannot_see_would_be_caught(alone, shared):
    gradient, product, _ = alone["simclr"]
    for worker in shared:
        wrong_gradient, wrong_product, _ = worker["wrong gather"]
        assert relative_error(wrong_gradient, gradient) < 1e-10
        assert relative_error(wrong_product, product) > 0.05


@pytest.mark.parametrize("pretext", pretext_names())
def test_product_is_the_finite_difference_of_the_gradient(alone, pretext):
    backbone, task = build(pretext)
    parameters = list(backbone.parameters())
    views = tuple(global_batch())
    targets = task.outputs(backbone, views)[1]  # held fixed, as H does
    step = 1e-6

    def gradient_at(distance):
        with torch.no_grad():
            for parameter, towards in zip(parameters, direction(parameters), strict=True):
                parameter.add_(towards, alpha=distance)
        return flat(torch.autograd.grad(task.criterion(task.outputs(backbone, views)[0], targets), parameters))

    difference = (gradient_at(step) - gradient_at(-2 * step)) / (2 * step)
    assert relative_error(difference, alone[pretext][1]) < 1e-6


@pytest.mark.parametrize("pretext", pretext_names())
def test_a_curvature_graph_leaves_every_running_statistic_bit_equal(pretext):
    backbone, task = build(pretext)
    buffers = [buffer for module in (backbone, task) for buffer in module.buffers()]
    views = tuple(global_batch())
    before = [buffer.clone() for buffer in buffers]
    with frozen_statistics(backbone, task):
        loss = task.loss(backbone, views)
    hessian = LowerHessian(loss, list(backbone.parameters()))
    hessian.matvec(direction(backbone.parameters()))
    assert all(torch.equal(old, new) for old, new in zip(before, buffers, strict=True))
    task.loss(backbone, views)
    assert not any(torch.equal(old, new) for old, new in zip(before, buffers, strict=True))
