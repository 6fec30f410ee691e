"""Curvature by first derivatives alone: gradients of the pretext loss at displaced parameters."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from bissl_ray.bilevel.curvature.graphs import CurvatureGraph
from bissl_ray.bilevel.curvature.operator import CurvatureOperator
from bissl_ray.bilevel.curvature.vectors import check_params, flatten, unflatten
from bissl_ray.parallel import Group, mean_over_workers


def reach(params: Sequence[Tensor]) -> Tensor:
    """How far to displace θ so that a difference of gradients tells H: ε^(1/3) ‖θ‖, a scalar on the device.

    With ε the rounding of θ's type. A central difference errs by about h² for the displacement h, and by ε / h for
    rounding, both relative: the sum is least there (Nocedal and Wright 2006, section 8.1). To one side ε^(1/2) would
    be, but what has kinks, as a network with ReLU does, has gradients that jump, by as much however near: farther is
    better. In units of ‖θ‖, so that it doesn't change with the scale of the weights; 1 stands for ‖θ‖ = 0.

    Args:
        params: θ.
    """
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm([part.detach() for part in params])))
    relative = float(torch.finfo(params[0].dtype).eps) ** (1 / 3)
    displacement: Tensor = relative * torch.where(norm > 0, norm, torch.ones_like(norm))
    return displacement


class DisplacedLoss(CurvatureGraph):
    """This worker's loss as a function of where θ is: its gradients there, and products with H by central differences.

    It holds no graph. While a gradient is taken, θ is displaced in place, and set back to the bit afterwards, also
    where an error passes.

    Args:
        loss: computes this worker's scalar with its graph, the same whenever it is called (same images, running
            statistics frozen, no dropout).
        params: θ.
    """

    def __init__(self, loss: Callable[[], Tensor], params: Sequence[Tensor]) -> None:
        check_params(params)
        self._compute, self._params = loss, tuple(params)
        with torch.no_grad():
            self.loss = loss().detach()

    def gradient(self, displacement: Tensor | None = None) -> Tensor:
        """∇L_P at θ + displacement, `[entries]`; at θ itself where there is none."""
        with self._displaced(displacement), torch.enable_grad():
            return flatten(torch.autograd.grad(self._compute(), self._params, materialize_grads=True))

    def product(self, vector: Tensor, retain: bool) -> Tensor:
        """H p ≈ (∇L_P(θ + h p̂) − ∇L_P(θ − h p̂)) ‖p‖ / 2h, two gradients; p̂ has norm 1, h is `reach`."""
        length = torch.linalg.vector_norm(vector)
        scale = reach(self._params) / torch.where(length > 0, length, torch.ones_like(length))
        change = self.gradient(scale * vector).sub_(self.gradient(-scale * vector))
        return change.div_(2 * scale)

    @contextmanager
    def _displaced(self, displacement: Tensor | None) -> Iterator[None]:
        if displacement is None:
            yield
            return
        with torch.no_grad():
            before = [part.clone() for part in self._params]
        try:
            with torch.no_grad():
                torch._foreach_add_(self._params, unflatten(displacement, self._params))
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._params, before)


class DifferencedCurvature(CurvatureOperator):
    """Products with H, and changes of ∇L_P, of the mean of some losses by gradients alone.

    A product costs two gradients, about as much as one by double backward, in the memory of a training step: no graph
    is kept, and no second derivative is needed of any layer. What it errs by is in docs/hypergradient.md.

    Args:
        losses: each computes this worker's scalar with its graph, as of `DisplacedLoss`, one per chunk of the batch.
        params: the lower backbone's parameters, all of one dtype on one device.
        group: the workers; None for all.

    Raises:
        ValueError: no losses, or parameters of several dtypes.
    """

    def __init__(self, losses: Sequence[Callable[[], Tensor]], params: Sequence[Tensor], group: Group = None) -> None:
        if not losses:
            raise ValueError("found nothing to differentiate: expected at least one loss, one per chunk of the batch")
        super().__init__(params, group)
        self._parts: list[DisplacedLoss] = [DisplacedLoss(loss, params) for loss in losses]
        self.loss = torch.stack([part.loss for part in self._parts]).mean()
        self._at_theta: Tensor | None = None

    @property
    def gradient(self) -> tuple[Tensor, ...]:
        """∇_θ of the global loss, tensors shaped as the parameters."""
        return unflatten(mean_over_workers([self._own_gradient()], self.group)[0], self.params)

    def _own_product(self, vector: Tensor) -> Tensor:
        return self._mean(lambda part: part.product(vector, retain=False))

    def _own_change(self, displacement: Tensor) -> Tensor:
        if self._at_theta is None:
            self._at_theta = self._own_gradient()
        return self._own_gradient(displacement).sub_(self._at_theta)

    def _own_gradient(self, displacement: Tensor | None = None) -> Tensor:
        return self._mean(lambda part: part.gradient(displacement))

    def _mean(self, of: Callable[[DisplacedLoss], Tensor]) -> Tensor:
        if not self._parts:
            raise RuntimeError("this DifferencedCurvature was closed: build a new one")
        total = of(self._parts[0])
        for part in self._parts[1:]:
            total = total + of(part)
        return total / len(self._parts)

    def close(self) -> None:
        """Forget the losses and what they hold; no products after this."""
        self._parts, self._at_theta = [], None
