"""The gradient of a loss with its graph, to be differentiated again."""

from collections.abc import Sequence

import torch
from torch import Tensor

from bissl_ray.bilevel.curvature_graph import CurvatureGraph, gradient_with_graph
from bissl_ray.bilevel.flat import flatten, unflatten


class GradientGraph(CurvatureGraph):
    """∇_θ of a scalar, kept so that each product with its Hessian is one reverse pass (Pearlmutter 1994).

    Args:
        loss: a scalar with its graph, built on bare modules (no DDP).
        params: θ.

    Raises:
        ValueError: a loss that is not a scalar or has no graph, or a parameter that the loss doesn't use.
    """

    def __init__(self, loss: Tensor, params: Sequence[Tensor]) -> None:
        if loss.numel() != 1:
            raise ValueError(f"the loss has shape {tuple(loss.shape)}: expected a scalar; take its mean")
        self.loss = loss.detach()
        self._params = tuple(params)
        self._parts = gradient_with_graph(loss, self._params, None, "loss")
        # A part without graph is constant in θ: its rows of H are 0, and autograd must not be asked for them.
        self._varying = {position: part for position, part in enumerate(self._parts) if part.requires_grad}

    def gradient(self) -> list[Tensor]:
        """∇_θ, tensors shaped as the parameters, without graph."""
        return [part.detach() for part in self._parts]

    def product(self, vector: Tensor, retain: bool) -> Tensor:
        """H times a vector, by double backward; arguments as of `CurvatureGraph.product`."""
        if not self._varying:
            return torch.zeros_like(vector)
        directions = unflatten(vector, self._params)
        parts = torch.autograd.grad(
            list(self._varying.values()),
            self._params,
            [directions[position] for position in self._varying],
            retain_graph=retain,
            materialize_grads=True,
        )
        return flatten(parts)
