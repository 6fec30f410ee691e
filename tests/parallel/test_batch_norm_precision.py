"""Batch statistics over workers when the images come in bfloat16."""

import torch

from bissl_ray.parallel import SynchronisedBatchNorm2d
from tests.processes import run_workers


def _normalised(rank: int, world_size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    images = (3 + torch.randn(8, 4, 5, 5)).bfloat16().chunk(world_size)[rank].requires_grad_()
    layer = SynchronisedBatchNorm2d(4)
    with torch.autocast("cpu", torch.bfloat16):
        activations = layer(images)
    (gradient,) = torch.autograd.grad(activations.float().pow(3).mean(), images)
    return activations.detach(), gradient / world_size, layer.running_mean, layer.running_var


def test_statistics_are_float32_and_those_of_the_whole_batch() -> None:
    whole, whole_gradient, mean, variance = _normalised(0, 1)
    shares = run_workers(_normalised, 2)
    activations = torch.cat([share[0] for share in shares])
    assert activations.dtype == torch.bfloat16
    # One rounding to 8 bits, of the activations and of the gradient.
    torch.testing.assert_close(activations, whole, rtol=2**-7, atol=2**-7)
    torch.testing.assert_close(torch.cat([share[1] for share in shares]), whole_gradient, rtol=2**-6, atol=1e-5)
    for share in shares:
        torch.testing.assert_close(share[2], mean, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(share[3], variance, rtol=1e-6, atol=1e-6)
