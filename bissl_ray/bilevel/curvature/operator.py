"""What a linear solver sees of the lower level: a symmetric matrix, known by its products only.

The products come from one graph that is kept, or from graphs rebuilt for each; or there is no curvature at all.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from bissl_ray.bilevel.curvature.graphs import CurvatureGraph
from bissl_ray.bilevel.curvature.vectors import check_params, check_shapes, flatten, unflatten
from bissl_ray.parallel import Group, mean_over_workers


class CurvatureOperator(ABC):
    """Products with the curvature of the pretext loss, which is the MEAN over workers of each worker's loss.

    Every product ends in one all-reduce, and every worker must ask for the same products.

    Args:
        params: the lower backbone's parameters, all of one dtype on one device.
        group: the workers; None for all.

    Attributes:
        params: the parameters.
        group: the workers.
        products: how many products were computed so far.
        loss: this worker's loss, whose curvature it is, a scalar without graph.
        adaptation: by how much the lower optimizer's last step scaled each tensor's gradient, scalars on the device,
            the same on all workers; None where it is not known. No product reads it.

    Raises:
        ValueError: parameters of several dtypes or devices, or none.
    """

    loss: Tensor

    def __init__(self, params: Sequence[Tensor], group: Group = None) -> None:
        check_params(params)
        self.params = tuple(params)
        self.group = group
        self.products = 0
        self.adaptation: Sequence[Tensor] | None = None

    def matvec(self, v: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The product with `v` as a tuple of tensors shaped as `params`.

        Args:
            v: tensors shaped as `params`, the same on all workers.

        Raises:
            ValueError: `v` has other shapes than `params`.
            RuntimeError: the operator was closed.
        """
        check_shapes(v, self.params)
        return unflatten(self.flat_matvec(flatten(v)), self.params)

    def flat_matvec(self, vector: Tensor) -> Tensor:
        """The product with a vector of all parameter entries in order, as such a vector."""
        own = self._own_product(vector)
        self.products += 1
        return mean_over_workers([own], self.group)[0]

    def flat_change(self, displacement: Tensor) -> Tensor:
        """∇L_P(θ + displacement) − ∇L_P(θ), as a vector; H times it where L_P is known by its products alone.

        It counts as a product.
        """
        own = self._own_change(displacement)
        self.products += 1
        return mean_over_workers([own], self.group)[0]

    def _own_change(self, displacement: Tensor) -> Tensor:
        """The same of this worker's loss; the mean over workers is the change."""
        return self._own_product(displacement)

    @abstractmethod
    def _own_product(self, vector: Tensor) -> Tensor:
        """The derivative with respect to this worker's copy of the parameters; the mean over workers is the product."""

    @abstractmethod
    def close(self) -> None:
        """Free the graphs and the activations that they hold; no products after this."""

    def __enter__(self) -> Self:
        """Use as a context: the operator is closed at its end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, whatever happened."""
        self.close()


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
