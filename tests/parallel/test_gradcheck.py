"""torch's own gradcheck and gradgradcheck of the collectives, run by all workers in step.

gradcheck moves one entry of a leaf, looks at one function, and knows of one process. The collectives' convention is
another one: each worker differentiates its own scalar, and gets the derivative of the SUM over workers with respect to
its own copy. The two meet on functions that are the same on every worker, of a leaf that is the same on every worker
and holds the inputs of all of them, `[workers, entries]`. `own_row` takes this worker's row of the MEAN of the
copies. Forwards that changes nothing. Backwards, each of the n copies gets 1/n of the derivative of the sum of n equal
functions: just the derivative that gradcheck expects. The same holds for the leaf's and the output's gradients in
gradgradcheck, which are equal on all workers, being drawn from equal seeds.
"""

import pytest
import torch
import torch.distributed as dist
from torch.autograd import gradcheck, gradgradcheck

from bissl_ray.parallel import all_gather, all_reduce_sum, rank, world_size
from tests.workers import run_workers


def own_row(leaf):
    return (all_reduce_sum(leaf) / world_size())[rank()]


def reduced(leaf):
    return all_reduce_sum(own_row(leaf))


def gathered(leaf):
    return all_gather(own_row(leaf))


def coupled(leaf):
    """Both in one scalar that no two workers contribute equally to, so that its derivatives differ by worker too."""
    own = own_row(leaf)
    everyone, total = all_gather(own.exp()), all_reduce_sum((rank() + 1) * own.sin())
    return all_reduce_sum((rank() + 1) * torch.outer(own, everyone).tanh().sum() + (own.square() * total.cos()).sum())


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


def wrong(leaf):
    return ReducedInPlace.apply(own_row(leaf))


FUNCTIONS = {"reduced": reduced, "gathered": gathered, "coupled": coupled, "wrong": wrong}


def checks(worker, workers):
    """By function: whether gradcheck and gradgradcheck pass."""
    found = {}
    for name, function in FUNCTIONS.items():
        torch.manual_seed(0)
        leaf = torch.randn(workers, 2, dtype=torch.float64, requires_grad=True)
        # Not raised but returned: a worker that raised would leave the others waiting for it.
        found[name] = tuple(check(function, leaf, raise_exception=False) for check in (gradcheck, gradgradcheck))
    return found


@pytest.mark.parametrize("workers", [2, 4])
def test_first_and_second_derivatives_pass_and_a_hidden_collective_fails_the_second(workers):
    right = dict.fromkeys(("reduced", "gathered", "coupled"), (True, True))
    assert run_workers(checks, workers) == [right | {"wrong": (True, False)}] * workers
