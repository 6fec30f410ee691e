"""Convolution whose second derivative uses the kernels of the first.

torch's double backward of a convolution writes the two gradients that it needs as forward convolutions with batch and
channels swapped, whose kernel is as large as the image: shapes that no library is fast at. They are ordinary input and
weight gradients, so they are asked for as such here.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bissl_ray.parallel import upstream_only


@dataclass(frozen=True)
class _Geometry:
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """x ∗ weight."""
        y: Tensor = torch.ops.aten.convolution(
            x, weight, None, self.stride, self.padding, self.dilation, False, [0, 0], self.groups
        )
        return y

    def gradients(
        self, d: Tensor, x: Tensor, weight: Tensor, by_x: bool, by_weight: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """The gradients of ⟨d, x ∗ weight⟩; that by `x` doesn't depend on `x`, nor that by `weight` on `weight`."""
        dx, dweight, _ = torch.ops.aten.convolution_backward(
            d,
            x,
            weight,
            None,
            self.stride,
            self.padding,
            self.dilation,
            False,
            [0, 0],
            self.groups,
            [by_x, by_weight, False],
        )
        return dx, dweight


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return geometry.forward(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        if upstream_only():
            x, weight = x.detach(), weight.detach()
        needed = ctx.needs_input_grad[:2]
        dx, dweight = _ConvolveBackward.apply(gradients[0], x, weight, ctx.geometry, needed)
        return dx, dweight, None


class _ConvolveBackward(torch.autograd.Function):
    """Linear in `d`, and each output in one of `x` and `weight`."""

    @staticmethod
    def forward(
        ctx: Any, d: Tensor, x: Tensor, weight: Tensor, geometry: _Geometry, needed: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        ctx.save_for_backward(d if any(ctx.needs_input_grad[1:3]) else None, x, weight)
        ctx.geometry = geometry
        ctx.set_materialize_grads(False)
        return geometry.gradients(d, x, weight, *needed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """The gradient of ⟨u, dx⟩ + ⟨p, dweight⟩ = ⟨d, u ∗ weight + x ∗ p⟩."""
        u, p = gradients
        d, x, weight = ctx.saved_tensors
        by_d: Tensor | None = None
        by_x: Tensor | None = None
        by_weight: Tensor | None = None
        if u is not None:
            by_d = ctx.geometry.forward(u, weight)
            if ctx.needs_input_grad[2]:
                _, by_weight = ctx.geometry.gradients(d, u, weight, False, True)
        if p is not None:
            part = ctx.geometry.forward(x, p)
            by_d = part if by_d is None else by_d.add_(part)
            if ctx.needs_input_grad[1]:
                by_x, _ = ctx.geometry.gradients(d, x, p, True, False)
        return by_d, by_x, by_weight, None, None


class Convolution2d(nn.Conv2d):
    """`torch.nn.Conv2d` with zero padding by numbers, and a quicker second derivative; none beyond that."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve `[images, channels, height, width]`."""
        # Under autocast, torch picks the precision; curvature is never taken there.
        device = x.device.type
        autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
        if autocast or not torch.is_grad_enabled():
            return super().forward(x)
        assert not isinstance(self.padding, str)
        geometry = _Geometry(list(self.stride), list(self.padding), list(self.dilation), self.groups)
        y = cast(Tensor, _Convolve.apply(x, self.weight, geometry))
        return y if self.bias is None else y + self.bias.view(1, -1, 1, 1)


def convert_convolutions(module: nn.Module) -> None:
    """Turn every plain `torch.nn.Conv2d` in a module tree into ours, in place; parameters stay the same objects."""
    for layer in module.modules():
        if type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
            layer.__class__ = Convolution2d
