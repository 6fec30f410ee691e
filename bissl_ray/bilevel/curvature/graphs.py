"""Graphs of a worker's loss at θ, and products with a matrix of second derivatives from them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bissl_ray.bilevel.curvature.vectors import check_params, flatten, unflatten
from bissl_ray.parallel import differentiable_upstream_only


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


class OutputGraph(CurvatureGraph):
    """Outputs of a network and a criterion of them: products with Jᵀ (∇² criterion) J, J = ∂ outputs / ∂ θ.

    J v comes from reverse mode alone: Jᵀ u is linear in u, so that the derivative of vᵀ Jᵀ u by u is J v whatever u
    is; the graph of Jᵀ u is built once, with u = 0. Forward mode would recompute the forward pass each time, and must
    never be mixed with reverse mode (docs/hypergradient.md).

    Each worker has its own outputs, which may depend on every worker's copy of θ through differentiable collectives.
    By their convention the gradient of this worker's uᵀ outputs is that of the SUM over workers by this worker's copy,
    and the derivative of vᵀ of it by this worker's u again that of the sum: exactly J v.

    Args:
        outputs: this worker's, with their graph, built on bare modules (no DDP).
        criterion: this worker's scalar loss of the outputs.
        params: θ.

    Raises:
        ValueError: outputs without graph, a parameter that they don't use, or a criterion that is not a scalar or does
            not depend on the outputs.
    """

    def __init__(self, outputs: Tensor, criterion: Callable[[Tensor], Tensor], params: Sequence[Tensor]) -> None:
        self._params, self._outputs = tuple(params), outputs
        judged = outputs.detach().requires_grad_()
        loss = criterion(judged)
        if loss.numel() != 1:
            raise ValueError(f"the criterion has shape {tuple(loss.shape)}: expected a scalar; take its mean")
        self.loss = loss.detach()
        self._judged = judged
        (self._slope,) = gradient_with_graph(loss, [judged], None, "criterion")
        self._probe = torch.zeros_like(outputs, requires_grad=True)
        with differentiable_upstream_only():
            self._pulled = gradient_with_graph(outputs, self._params, self._probe, "output")

    def product(self, vector: Tensor, retain: bool) -> Tensor:
        """Jᵀ (∇² criterion) J times a vector; arguments as of `CurvatureGraph.product`."""
        if not self._slope.requires_grad:  # a criterion that is linear has no curvature
            return torch.zeros_like(vector)
        directions = unflatten(vector, self._params)
        # By u alone: of the graph of Jᵀ u, only what lies between u and Jᵀ u is run.
        (moved,) = torch.autograd.grad(self._pulled, self._probe, directions, retain_graph=retain)
        (bent,) = torch.autograd.grad(self._slope, self._judged, moved, retain_graph=retain)
        return flatten(torch.autograd.grad(self._outputs, self._params, bent, retain_graph=retain))
