"""The Hessian of the pretext loss, rebuilt for every product: little memory between products, or a batch in chunks."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bissl_ray.bilevel.gradient_graph import GradientGraph
from bissl_ray.bilevel.operator import CurvatureOperator
from bissl_ray.parallel import Group


class RecomputedHessian(CurvatureOperator):
    """Products with H of the mean of some losses, one gradient graph at a time, each freed after its use.

    With one loss it is `LowerHessian` at the price of a forward and a backward more per product, and holds no
    graph between products. With several, one per chunk of the curvature batch, the peak is that of one chunk, and H
    is exactly the Hessian of the mean of the chunks' losses. That is the loss on the whole batch where the loss is
    a mean over images; where images meet (batch statistics, negatives), they meet within their chunk only.

    Args:
        losses: each builds this worker's scalar afresh, the same whenever it is called (same images, running
            statistics frozen).
        params: the lower backbone's parameters, all of one dtype on one device.
        group: the workers; None for all.

    Raises:
        ValueError: no losses. As `LowerHessian`, at the first product.
    """

    def __init__(self, losses: Sequence[Callable[[], Tensor]], params: Sequence[Tensor], group: Group = None) -> None:
        super().__init__(params, group)
        if not losses:
            raise ValueError("found no losses: expected one or more, one per chunk of the batch")
        self._losses: Sequence[Callable[[], Tensor]] | None = losses

    def _own_product(self, vector: Tensor) -> Tensor:
        if self._losses is None:
            raise RuntimeError("this Hessian was closed: build a new RecomputedHessian")
        total = torch.zeros_like(vector)
        for loss in self._losses:
            with torch.enable_grad():
                graph = GradientGraph(loss(), self.params)
            total += graph.product(vector, retain=False)
        return total.div_(len(self._losses))

    def close(self) -> None:
        """Forget the losses and what they hold; no products after this."""
        self._losses = None
