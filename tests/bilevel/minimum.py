"""The minimum of a smooth function in float64, as exactly as it goes: L-BFGS to get near, then Newton."""

from collections.abc import Callable

import torch
from torch import Tensor


def minimum_of(objective: Callable[[Tensor], Tensor], start: Tensor, near: float, exact: float) -> Tensor:
    """Argmin from a starting point on.

    Args:
        objective: of a vector, differentiable twice.
        start: where the search begins.
        near: largest entry of the gradient at which Newton's steps take over.
        exact: norm of the gradient at which they end.
    """
    point = start.clone().requires_grad_()
    search = torch.optim.LBFGS([point], max_iter=500, tolerance_grad=near, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        loss = objective(point)
        (point.grad,) = torch.autograd.grad(loss, point)
        return loss

    search.step(closure)
    point = point.detach()
    for _ in range(20):
        slope = torch.autograd.functional.jacobian(objective, point)
        if slope.norm() < exact:
            return point
        curvature = torch.autograd.functional.hessian(objective, point, vectorize=True)
        point = point - torch.linalg.solve(curvature, slope)
    raise AssertionError(f"Newton stalled at {slope.norm():.1e}")
