"""torch's own gradcheck and gradgradcheck of what spans workers, run by all workers in step.

gradcheck moves one entry of a leaf, looks at one function, and knows of one process. The collectives' convention is
another one: each worker differentiates its own scalar, and gets the derivative of the SUM over workers with respect to
its own copy. The two meet on functions that are the same on every worker, of leaves that are the same on every worker
and hold the inputs of all of them. `shared` is the MEAN of the workers' copies of a leaf. Forwards that changes
nothing. Backwards, each of the n copies gets 1/n of the derivative of the sum of n equal functions: just the
derivative that gradcheck expects. The same holds for the gradients in gradgradcheck, drawn from equal seeds.
"""

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call

from bissl_ray.parallel import all_gather, all_reduce_sum, convert_batch_norm, rank, world_size
from tests.processes import run_workers

pytestmark = pytest.mark.slow


def shared(leaf):
    return all_reduce_sum(leaf) / world_size()


def reduced(rows):
    return all_reduce_sum(shared(rows)[rank()])


def gathered(rows):
    return all_gather(shared(rows)[rank()])


def coupled(rows):
    """Both in one scalar that no two workers contribute equally to, so that its derivatives differ by worker too."""
    own = shared(rows)[rank()]
    everyone, total = all_gather(own.exp()), all_reduce_sum((rank() + 1) * own.sin())
    return all_reduce_sum((rank() + 1) * torch.outer(own, everyone).tanh().sum() + (own.square() * total.cos()).sum())


def normalised(rows, affine):
    layer = convert_batch_norm(nn.BatchNorm1d(1).double(), "synchronised")
    weight, bias = shared(affine)
    return all_gather(functional_call(layer, {"weight": weight, "bias": bias}, shared(rows)[rank()][:, None]))


class ReducedInPlace(torch.autograd.Function):
    """The sum as it is often written: right once, and autograd does not see the collective in its backward."""

    @staticmethod
    def forward(ctx, own):
        return ReducedInPlace.sum(own)

    @staticmethod
    def backward(ctx, gradient):
        return ReducedInPlace.sum(gradient)

    @staticmethod
    def sum(own):
        total = own.clone()
        dist.all_reduce(total)
        return total


def wrong(rows):
    return ReducedInPlace.apply(shared(rows)[rank()])


def randn(*shape, seed):
    numbers = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return numbers.requires_grad_()


def checks(worker, workers):
    """By function: whether gradcheck and gradgradcheck pass."""
    few, more = randn(workers, 4 // workers, seed=0), randn(workers, 1 + 4 // workers, seed=1)
    functions = {
        "reduced": (reduced, few),
        "gathered": (gathered, few),
        "coupled": (coupled, few),
        "normalised": (normalised, more, randn(2, 1, seed=2)),
        "wrong": (wrong, few),
    }
    found = {}
    for name, (function, *leaves) in functions.items():
        torch.manual_seed(3)  # gradgradcheck draws
        # Not raised but returned: a worker that raised would leave the others waiting for it.
        # Four workers on few cores are slow: random projections of the Jacobians instead of all entries.
        how = {"raise_exception": False, "fast_mode": workers > 2}
        found[name] = tuple(check(function, leaves, **how) for check in (gradcheck, gradgradcheck))
    return found


@pytest.mark.parametrize("workers", [2, 4])
def test_first_and_second_derivatives_pass_and_a_hidden_collective_fails_the_second(workers):
    for found in run_workers(checks, workers):
        assert found.pop("wrong") == (True, False)
        assert found == dict.fromkeys(found, (True, True))


@pytest.mark.parametrize("mode", ["synchronised", "per_worker"])
def test_batch_norm_of_images_passes_in_one_process(mode):
    layer = convert_batch_norm(nn.BatchNorm2d(2).double(), mode)

    def normalise(images, weight, bias):
        return functional_call(layer, {"weight": weight, "bias": bias}, images)

    leaves = randn(2, 2, 1, 2, seed=0), randn(2, seed=1), randn(2, seed=2)
    assert gradcheck(normalise, leaves)
    assert gradgradcheck(normalise, leaves)
