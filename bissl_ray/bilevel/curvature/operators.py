"""Curvature operators: one graph kept for every product, graphs rebuilt for each, or no curvature at all."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bissl_ray.bilevel.curvature.graphs import CurvatureGraph
from bissl_ray.bilevel.curvature.operator import CurvatureOperator
from bissl_ray.parallel import Group


class KeptCurvature(CurvatureOperator):
    """Products from one graph, kept until `close`.

    Args:
        graph: of this worker's loss.
        params: the lower backbone's parameters, those that the graph was built for.
        group: the workers; None for all.
    """

    def __init__(self, graph: CurvatureGraph, params: Sequence[Tensor], group: Group = None) -> None:
        super().__init__(params, group)
        self.loss = graph.loss
        self._graph: CurvatureGraph | None = graph

    def _own_product(self, vector: Tensor) -> Tensor:
        if self._graph is None:
            name = type(self).__name__
            raise RuntimeError(f"the graph of this {name} was freed by close(): build a new {name}")
        return self._graph.product(vector, retain=True)

    def close(self) -> None:
        """Free the graph and the activations that it holds; no products after this."""
        self._graph = None


class RecomputedCurvature(CurvatureOperator):
    """Products with the mean of some curvature matrices, one graph at a time, each freed after its use.

    With one graph it is `KeptCurvature` at the price of a forward and a backward more per product, and holds no
    graph between products. With several, one per chunk of the curvature batch, the peak is that of one chunk, and the
    product is exactly that of the mean of the chunks' losses. That is the loss on the whole batch where the loss is
    a mean over images; where images meet (batch statistics, negatives), they meet within their chunk only.

    Args:
        graphs: each builds a graph of this worker's loss afresh, the same whenever it is called (same images, running
            statistics frozen). All are built once at construction, for the loss.
        params: the lower backbone's parameters, those that the graphs are built for.
        group: the workers; None for all.

    Raises:
        ValueError: no graphs, or what building one raises.
    """

    def __init__(
        self, graphs: Sequence[Callable[[], CurvatureGraph]], params: Sequence[Tensor], group: Group = None
    ) -> None:
        if not graphs:
            raise ValueError("found nothing to build a graph from: expected at least one, one per chunk of the batch")
        super().__init__(params, group)
        self.loss = torch.stack([build().loss for build in graphs]).mean()
        self._graphs: Sequence[Callable[[], CurvatureGraph]] | None = tuple(graphs)

    def _own_product(self, vector: Tensor) -> Tensor:
        if self._graphs is None:
            raise RuntimeError("this RecomputedCurvature was closed: build a new one")
        total = torch.zeros_like(vector)
        for build in self._graphs:
            with torch.enable_grad():
                graph = build()
            total += graph.product(vector, retain=False)
            # Before the next one is built: a name would hold it until then.
            del graph
        return total.div_(len(self._graphs))

    def close(self) -> None:
        """Forget the graphs' builders and what they hold; no products after this."""
        self._graphs = None


class NoCurvature(CurvatureOperator):
    """Loss and parameters without products: the identity asks for none, so that no graph is built for it.

    Args:
        loss: this worker's scalar.
        params: the lower backbone's parameters.
        group: the workers; None for all.
    """

    def __init__(self, loss: Tensor, params: Sequence[Tensor], group: Group = None) -> None:
        super().__init__(params, group)
        self.loss = loss.detach()

    def _own_product(self, vector: Tensor) -> Tensor:
        raise RuntimeError("there is no curvature to multiply by: this operator is for the identity")

    def close(self) -> None:
        """Nothing to free."""
