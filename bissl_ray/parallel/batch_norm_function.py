"""Batch normalisation by batch statistics, with first and second derivatives that take few passes over memory.

torch composes its second derivative from dozens of elementwise operations and sums per layer. Written out, they come
down to five sums per channel and two linear combinations. The statistics may span workers (pytorch issue 61222:
torch's own SyncBatchNorm has no second derivative).

Workers may bring unlike numbers of values: regions of images are as many as there are.

Notation, per channel, over the N values of the global batch: m and s are mean and 1 / standard deviation,
x̂ = (x − m) s, y = w x̂ + b. Sums over this worker's values only are called own. As everywhere in this folder the
differentiated scalar is the sum over workers of each one's own, and w and b are this worker's own copies.
"""

from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from bissl_ray.parallel.collectives import Group, all_gather, upstream_only, world_size


class Normalised(NamedTuple):
    """What `batch_norm` gives: y shaped and typed as x; and of the batch, without graph, its statistics.

    Attributes:
        y: w x̂ + b.
        mean: m, `[channels]`.
        variance: the biased one, `[channels]`.
        number: N; where the statistics span several workers, a scalar of their type, which stays on the device.
    """

    y: Tensor
    mean: Tensor
    variance: Tensor
    number: int | Tensor


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float, group: Group, spans_workers: bool) -> Normalised:
    """Normalise by the statistics of the batch; differentiable twice in `x`, `weight` and `bias`.

    Args:
        x: `[rows, channels, ...]`, this worker's share, at least one value per channel.
        weight: w, `[channels]`.
        bias: b, `[channels]`.
        eps: added to the variance.
        group: the workers; None for all.
        spans_workers: take the statistics over all workers' rows, not this worker's only.
    """
    total = _Sum(group, spans_workers)
    return Normalised(*_Normalise.apply(x, weight, bias, eps, total))


class _Sum:
    """Brings together what the workers that the statistics span have of their own."""

    def __init__(self, group: Group, spans_workers: bool) -> None:
        self._group = group
        self.workers = world_size(group) if spans_workers else 1

    def __call__(self, *own: Tensor) -> tuple[Tensor, ...]:
        """Sums over workers."""
        if self.workers == 1:
            return own
        total = torch.stack(own)
        dist.all_reduce(total, group=self._group)
        return total.unbind(0)

    def statistics(self, mean: Tensor, variance: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, biased variance and number of all workers' values (Chan, Golub and LeVeque 1979)."""
        own = torch.stack([mean, variance, torch.full_like(mean, n)]).unsqueeze(0)
        means, variances, counts = all_gather(own, self._group).unbind(1)
        everybody = counts.sum(0)
        shares = counts / everybody
        joint = (shares * means).sum(0)
        within, between = (shares * variances).sum(0), (shares * (means - joint).square()).sum(0)
        return joint, within + between, everybody[0]


def _own_sums(upstream: Tensor, x: Tensor, mean: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """Own Σ upstream and Σ upstream · x̂ per channel, in one fused pass."""
    # The sums don't depend on the weight, but CUDA's kernel shapes them like it: any tensor of that shape will do.
    _, weighted, plain = torch.ops.aten.native_batch_norm_backward(
        upstream, x, inverse, None, None, mean, inverse, True, 0.0, [False, True, True]
    )
    return plain, weighted


def _combine(constant: Tensor, *terms: tuple[Tensor, Tensor]) -> Tensor:
    """Σ coefficient · values + constant, coefficients and constant `[channels]`, in as many passes as terms."""
    shape = [1, -1] + [1] * (terms[0][1].dim() - 2)
    total = torch.addcmul(constant.view(shape), terms[0][0].view(shape), terms[0][1])
    for coefficient, values in terms[1:]:
        total.addcmul_(coefficient.view(shape), values)
    return total.to(terms[0][1].dtype)


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, total: _Sum
    ) -> tuple[Tensor, Tensor, Tensor, int | Tensor]:
        y, mean, inverse = torch.native_batch_norm(x, weight, bias, None, None, True, 0.0, eps)
        variance = inverse.pow(-2) - eps
        own = x.numel() // x.shape[1]
        n: int | Tensor = own
        if total.workers > 1:
            mean, variance, n = total.statistics(mean, variance, own)
            inverse = torch.rsqrt(variance + eps)
            scale = weight * inverse
            y = _combine(bias - scale * mean, (scale, x))
        ctx.save_for_backward(x, weight, mean, inverse)
        # Without graph, and no input: it need not be saved as these are.
        ctx.total, ctx.n = total, n
        ctx.mark_non_differentiable(mean, variance, *([n] if isinstance(n, Tensor) else []))
        return y, mean, variance, n

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, inverse = ctx.saved_tensors
        if upstream_only():
            x, weight = x.detach(), weight.detach()
        dx, dw, db = _NormaliseBackward.apply(gradients[0], x, weight, mean, inverse, ctx.n, ctx.total)
        return dx, dw, db, None, None


class _NormaliseBackward(torch.autograd.Function):
    """dx = w s (d − D / N − x̂ Dx / N) with d = ∂/∂y, D = Σ d and Dx = Σ d x̂; dw = own Dx; db = own D."""

    @staticmethod
    def forward(
        ctx: Any, d: Tensor, x: Tensor, weight: Tensor, mean: Tensor, inverse: Tensor, n: int | Tensor, total: _Sum
    ) -> tuple[Tensor, Tensor, Tensor]:
        own_D, own_Dx = _own_sums(d, x, mean, inverse)
        D, Dx = total(own_D, own_Dx)
        kept = d if any(ctx.needs_input_grad[1:3]) else None
        ctx.save_for_backward(kept, x, weight, mean, inverse, own_D, own_Dx, D, Dx)
        ctx.total, ctx.n = total, n
        scale = weight * inverse
        of_x = -scale * inverse * Dx / n
        return _combine(-scale * D / n - of_x * mean, (scale, d), (of_x, x)), own_Dx, own_D

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of Φ = Σ u dx + a dw + b db, where u, a and b come from above.

        With U = Σ u, Ux = Σ u x̂ and P = Σ u d, all over the global batch,
        Φ = w s (P − U D / N − Ux Dx / N) + Σ over workers of (a own Dx + b own D), where m and s depend on x too:
        ∂x̂/∂x and ∂s/∂x = −s² x̂ / N bring in T = P − U D / N − Ux Dx / N and the sums of q = ∂Φ/∂x̂.
        """
        u, a, b = gradients
        d, x, weight, mean, inverse, own_D, own_Dx, D, Dx = ctx.saved_tensors
        n = ctx.n
        own_U, own_Ux = _own_sums(u, x, mean, inverse)
        if d is None:
            U, Ux = ctx.total(own_U, own_Ux)
            return _by_upstream(u, a, b, U / n, Ux / n, x, weight, mean, inverse), *[None] * 6
        own_P = _own_sums(u, d, torch.zeros_like(mean), torch.ones_like(mean))[1]
        U, Ux, P, aD, aDx = ctx.total(own_U, own_Ux, own_P, a * own_D, a * own_Dx)
        scale = weight * inverse
        by_d = _by_upstream(u, a, b, U / n, Ux / n, x, weight, mean, inverse)

        by_weight = inverse * (own_P - (U * own_D + Ux * own_Dx) / n)

        # q = −(w s / N) (u Dx + d Ux) + a d; ∂Φ/∂x = s (q − Σq / N − x̂ Σq x̂ / N) − w s² T x̂ / N
        q_of_u, q_of_d = -scale * Dx / n, a - scale * Ux / n
        q = aD - scale * (U * Dx + D * Ux) / n
        qx = aDx - 2 * scale * Ux * Dx / n
        T = P - (U * D + Ux * Dx) / n
        of_x = -(inverse * qx + scale * inverse * T) / n * inverse
        by_x = _combine(-inverse * q / n - of_x * mean, (inverse * q_of_u, u), (inverse * q_of_d, d), (of_x, x))
        return by_d, by_x, by_weight, *[None] * 4


def _by_upstream(
    u: Tensor,
    a: Tensor,
    b: Tensor,
    mean_U: Tensor,
    mean_Ux: Tensor,
    x: Tensor,
    weight: Tensor,
    mean: Tensor,
    inverse: Tensor,
) -> Tensor:
    """∂Φ/∂d = w s (u − U / N − x̂ Ux / N) + a x̂ + b, from U / N and Ux / N."""
    scale = weight * inverse
    of_x = (a - scale * mean_Ux) * inverse
    return _combine(b - scale * mean_U - of_x * mean, (scale, u), (of_x, x))
