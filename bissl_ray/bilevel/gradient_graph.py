"""The gradient of a loss with its graph, and what must hold for it to be differentiated again."""

from collections.abc import Sequence

import torch
from torch import Tensor

from bissl_ray.bilevel.flat import flatten, unflatten


class GradientGraph:
    """∇_θ of a scalar, kept so that each product with its Hessian is one reverse pass (Pearlmutter 1994).

    Args:
        loss: a scalar with its graph, built on bare modules (no DDP).
        params: θ.

    Attributes:
        gradient: ∇_θ as one vector of all entries in order, without graph.

    Raises:
        ValueError: a loss that is not a scalar or has no graph, or a parameter that the loss doesn't use.
    """

    def __init__(self, loss: Tensor, params: Sequence[Tensor]) -> None:
        if loss.numel() != 1:
            raise ValueError(f"the loss has shape {tuple(loss.shape)}: expected a scalar; take its mean")
        if not loss.requires_grad:
            raise ValueError("the loss has no graph: compute it with gradients enabled, and don't detach it")
        self._params = tuple(params)
        graph = torch.autograd.grad(loss, self._params, create_graph=True, allow_unused=True)
        for position, (parameter, part) in enumerate(zip(self._params, graph, strict=True)):
            if part is None:
                raise ValueError(
                    f"the loss does not use parameter {position} of shape {tuple(parameter.shape)}: "
                    "leave it out of params"
                )
        # A part without graph is constant in θ: its rows of H are 0, and autograd must not be asked for them.
        self._varying = {position: part for position, part in enumerate(graph) if part.requires_grad}
        self.gradient = flatten([part.detach() for part in graph])

    def product(self, vector: Tensor, retain: bool) -> Tensor:
        """H times a vector of all entries, by double backward.

        Args:
            vector: `[entries]`.
            retain: keep the graph for further products.
        """
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
