"""What a linear solver sees of the lower level: a symmetric matrix, known by its products only."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from torch import Tensor

from bissl_ray.bilevel.curvature.graphs import check_params
from bissl_ray.bilevel.curvature.vectors import flatten, unflatten
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

    Raises:
        ValueError: parameters of several dtypes or devices, or none.
    """

    loss: Tensor

    def __init__(self, params: Sequence[Tensor], group: Group = None) -> None:
        check_params(params)
        self.params = tuple(params)
        self.group = group
        self.products = 0

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


def check_shapes(v: Sequence[Tensor], params: Sequence[Tensor], name: str = "v") -> None:
    """Raise ValueError, by `name`, unless `v` has one tensor per parameter, each of its shape, dtype and device."""
    if len(v) != len(params):
        raise ValueError(f"{name} has {len(v)} tensors: expected {len(params)}, one per parameter tensor")
    for position, (part, parameter) in enumerate(zip(v, params, strict=True)):
        if part.shape != parameter.shape:
            raise ValueError(
                f"{name}[{position}] has shape {tuple(part.shape)}: expected {tuple(parameter.shape)}, "
                "the shape of its parameter"
            )
        if (part.dtype, part.device) != (parameter.dtype, parameter.device):
            raise ValueError(
                f"{name}[{position}] is {part.dtype} on {part.device}: expected {parameter.dtype} on "
                f"{parameter.device}, as its parameter"
            )
