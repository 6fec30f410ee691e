"""A curvature operator whose graph is built once and serves every product."""

from collections.abc import Sequence

from torch import Tensor

from bissl_ray.bilevel.curvature_graph import CurvatureGraph
from bissl_ray.bilevel.operator import CurvatureOperator
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
