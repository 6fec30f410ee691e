"""What the curvature of an alternation will take, in bytes, known before anything runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from bissl_ray.bilevel.curvature_graph import CurvatureGraph
from bissl_ray.bilevel.peak_bytes import PeakBytes

WORK_VECTORS = 16
"""Vectors of all parameter entries that a solve holds at once at most, v itself counted, recycled products not."""


@dataclass(frozen=True)
class CurvatureMemory:
    """An estimate in bytes, on one worker, on top of the models and the optimizers; the curvature batch is in it.

    Attributes:
        held: the graph between products; 0 where it is rebuilt for each.
        peak: the most that graph and products take at once, `held` included.
        vectors: the recycled products and what the solver works with.
    """

    held: int
    peak: int
    vectors: int

    @property
    def total(self) -> int:
        """The most at once."""
        return self.peak + self.vectors


def curvature_memory(
    build: Callable[[], CurvatureGraph], params: Sequence[Tensor], kept: bool, recycled_products: int
) -> CurvatureMemory:
    """Build a graph and multiply once with fake tensors, which have a shape but no memory, and count their bytes.

    Exact for the tensors that autograd and the operations make; what is not in it: workspaces inside operations
    (cuDNN's convolutions), what the allocator rounds up (under 10 % as a rule), and what other workers' embeddings
    add to a contrastive loss.

    Args:
        build: builds the graph (of one chunk) on images that it makes itself, so that they are fake too; the modules
            may be real or fake.
        params: the parameters that it is built for.
        kept: whether one graph serves all products, or each gets its own.
        recycled_products: how many products an upper stage keeps.
    """
    entries = sum(parameter.numel() for parameter in params)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.enable_grad():
        vector = params[0].new_zeros(entries)
        with PeakBytes() as counted:
            graph = build()
            held = counted.live if kept else 0
            graph.product(vector, retain=kept)
    one = entries * params[0].element_size()
    return CurvatureMemory(held, counted.bytes, (WORK_VECTORS + 2 * recycled_products) * one)
