"""What an operator needs of a graph to multiply by a curvature matrix."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor


class CurvatureGraph(ABC):
    """A graph of this worker's loss at θ, and a matrix of second derivatives known by its products.

    Attributes:
        loss: the loss, a scalar without graph.
    """

    loss: Tensor

    @abstractmethod
    def product(self, vector: Tensor, retain: bool) -> Tensor:
        """The matrix times a vector.

        Args:
            vector: all entries of θ in order, `[entries]`.
            retain: keep the graph for further products.
        """


def check_params(params: Sequence[Tensor]) -> None:
    """Raise ValueError unless there are parameters, all of one dtype on one device: they become one vector."""
    if len({(parameter.dtype, parameter.device) for parameter in params}) != 1:
        raise ValueError("expected at least one parameter, and all of one dtype on one device")


def gradient_with_graph(of: Tensor, params: Sequence[Tensor], weights: Tensor | None, what: str) -> list[Tensor]:
    """The gradient by each parameter of a tensor's sum with weights, with its graph.

    Args:
        of: the tensor.
        params: θ.
        weights: shaped as `of`; None for a scalar.
        what: `of` in words, for the error.

    Raises:
        ValueError: as `check_params`; a tensor without graph, a parameter that it doesn't use, or one that is frozen.
    """
    check_params(params)
    for position, parameter in enumerate(params):
        if not parameter.requires_grad:
            raise ValueError(
                f"parameter {position} of shape {tuple(parameter.shape)} is frozen: leave it out of params"
            )
    if not of.requires_grad:
        raise ValueError(f"the {what} has no graph: compute it with gradients enabled, and don't detach it")
    parts = torch.autograd.grad(of, params, weights, create_graph=True, allow_unused=True)
    for position, (parameter, part) in enumerate(zip(params, parts, strict=True)):
        if part is None:
            raise ValueError(
                f"the {what} does not use parameter {position} of shape {tuple(parameter.shape)}: "
                "leave it out of params"
            )
    return list(parts)
