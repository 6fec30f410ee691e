"""The Hessian of the pretext loss, as an operator."""

from collections.abc import Sequence
from types import TracebackType

import torch
from torch import Tensor

from bissl_ray.bilevel.flat import flatten, unflatten
from bissl_ray.parallel import Group, mean_over_workers


class LowerHessian:
    """Products with H = ∇²_θ L_P on one lower batch, from a gradient graph that is built once.

    The global loss is the MEAN over workers of each worker's loss; gradient and products are those of one
    process on the global batch, to rounding, provided that the loss was built from the differentiable
    collectives of `bissl_ray.parallel`. Each product is one reverse pass through the kept graph (double
    backward, Pearlmutter 1994) and one all-reduce. Every worker must ask for the same products.

    Args:
        loss: this worker's scalar, with its graph, built on bare modules (no DDP).
        params: the lower backbone's parameters, all of one dtype on one device.
        group: the workers; None for all.

    Attributes:
        params: the parameters.
        gradient: ∇_θ of the global loss, a tuple of tensors shaped as `params`, without graph.
        products: how many products were computed so far.
        group: the workers.

    Raises:
        ValueError: a loss that is not a scalar or has no graph, parameters of several dtypes, or a parameter
            that the loss doesn't use.
    """

    def __init__(self, loss: Tensor, params: Sequence[Tensor], group: Group = None) -> None:
        if loss.numel() != 1:
            raise ValueError(f"the loss has shape {tuple(loss.shape)}: expected a scalar; take its mean")
        if not loss.requires_grad:
            raise ValueError("the loss has no graph: compute it with gradients enabled, and don't detach it")
        if len({(parameter.dtype, parameter.device) for parameter in params}) != 1:
            raise ValueError("expected at least one parameter, and all of one dtype on one device")
        self.params = tuple(params)
        self.group = group
        self.products = 0
        graph = torch.autograd.grad(loss, self.params, create_graph=True, allow_unused=True)
        for position, (parameter, part) in enumerate(zip(self.params, graph, strict=True)):
            if part is None:
                raise ValueError(
                    f"the loss does not use parameter {position} of shape {tuple(parameter.shape)}: "
                    "leave it out of params"
                )
        # A part without graph is constant in θ: its rows of H are 0, and autograd must not be asked for them.
        varying = {position: part for position, part in enumerate(graph) if part.requires_grad}
        self._graph: dict[int, Tensor] | None = varying
        own = flatten([part.detach() for part in graph])
        self.gradient = unflatten(mean_over_workers([own], group)[0], self.params)

    def matvec(self, v: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """H v as a tuple of tensors shaped as `params`.

        Args:
            v: tensors shaped as `params`, the same on all workers.

        Raises:
            ValueError: `v` has other shapes than `params`.
            RuntimeError: the graph was freed by `close`.
        """
        check_shapes(v, self.params)
        return unflatten(self.flat_matvec(flatten(v)), self.params)

    def flat_matvec(self, vector: Tensor) -> Tensor:
        """H times a vector of all parameter entries in order, as such a vector."""
        if self._graph is None:
            raise RuntimeError("the graph of this Hessian was freed by close(): build a new LowerHessian")
        self.products += 1
        if not self._graph:
            return torch.zeros_like(vector)
        directions = unflatten(vector, self.params)
        own = torch.autograd.grad(
            list(self._graph.values()),
            self.params,
            [directions[position] for position in self._graph],
            retain_graph=True,
            materialize_grads=True,
        )
        return mean_over_workers([flatten(own)], self.group)[0]

    def close(self) -> None:
        """Free the gradient graph and the activations that it holds; no products after this."""
        self._graph = None

    def __enter__(self) -> "LowerHessian":
        """Use as a context: the graph is freed at its end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Free the graph, whatever happened."""
        self.close()


def check_shapes(v: Sequence[Tensor], params: Sequence[Tensor]) -> None:
    """Raise ValueError unless `v` has one tensor per parameter, each of its shape."""
    if len(v) != len(params):
        raise ValueError(f"v has {len(v)} tensors: expected {len(params)}, one per parameter tensor")
    for position, (part, parameter) in enumerate(zip(v, params, strict=True)):
        if part.shape != parameter.shape:
            raise ValueError(
                f"v[{position}] has shape {tuple(part.shape)}: expected {tuple(parameter.shape)}, "
                "the shape of its parameter"
            )
