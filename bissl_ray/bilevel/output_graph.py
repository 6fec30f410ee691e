"""What a loss judges, with its graph, to be differentiated forwards and backwards."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bissl_ray.bilevel.curvature_graph import CurvatureGraph, gradient_with_graph
from bissl_ray.bilevel.flat import flatten, unflatten
from bissl_ray.parallel import differentiable_upstream_only


class OutputGraph(CurvatureGraph):
    """Outputs of a network and a criterion of them: products with Jᵀ (∇² criterion) J, J = ∂ outputs / ∂ θ.

    J v comes from reverse mode alone: Jᵀ u is linear in u, so that the derivative of vᵀ Jᵀ u by u is J v whatever u
    is; the graph of Jᵀ u is built once, with u = 0. Forward mode would recompute the forward pass each time, and must
    never be mixed with reverse mode (DESIGN section 3).

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
