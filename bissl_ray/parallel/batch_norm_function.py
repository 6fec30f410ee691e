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

from bissl_ray.parallel.batch_norm_passes import combined, combined_twice, moved, own_sums, sums_of_both
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

    def in_place(self, own: Tensor, rows: int) -> Tensor:
        """The first rows of a tensor summed over workers; the others stay this worker's."""
        if self.workers > 1:
            dist.all_reduce(own[:rows], group=self._group)
        return own

    def statistics(self, mean: Tensor, variance: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, biased variance and number of all workers' values (Chan, Golub and LeVeque 1979)."""
        own = torch.stack([mean, variance, torch.full_like(mean, n)]).unsqueeze(0)
        means, variances, counts = all_gather(own, self._group).unbind(1)
        everybody = counts.sum(0)
        shares = counts / everybody
        joint = (shares * means).sum(0)
        within, between = (shares * variances).sum(0), (shares * (means - joint).square()).sum(0)
        return joint, within + between, everybody[0]


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
            y = moved(bias - scale * mean, scale, x)
        ctx.save_for_backward(x, weight, mean, inverse)
        # Without graph, and no input: it need not be saved as these are.
        ctx.total, ctx.n = total, n
        # Nobody differentiates by the statistics: no zeros are made for them.
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(mean, variance, *([n] if isinstance(n, Tensor) else []))
        return y, mean, variance, n

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if gradients[0] is None:
            return (None,) * 5
        x, weight, mean, inverse = ctx.saved_tensors
        if upstream_only():
            x, weight = x.detach(), weight.detach()
        # Grad mode tells whether a graph is built: inside `apply` it is off.
        again = torch.is_grad_enabled()
        dx, dw, db = _NormaliseBackward.apply(gradients[0], x, weight, mean, inverse, ctx.n, ctx.total, again)
        return dx, dw, db, None, None


class _NormaliseBackward(torch.autograd.Function):
    """dx = w s (d − D / N − x̂ Dx / N) with d = ∂/∂y, D = Σ d and Dx = Σ d x̂; dw = own Dx; db = own D."""

    @staticmethod
    def forward(
        ctx: Any,
        d: Tensor,
        x: Tensor,
        weight: Tensor,
        mean: Tensor,
        inverse: Tensor,
        n: int | Tensor,
        total: _Sum,
        again: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        own_D, own_Dx = own_sums(d, x, mean, inverse)
        D, Dx = total(own_D, own_Dx)
        scale = weight * inverse
        per_value = scale / -n
        ctx.total = total
        if again and any(ctx.needs_input_grad[:3]):
            kept = d if any(ctx.needs_input_grad[1:3]) else None
            own = torch.stack([own_D, own_Dx])
            linear, of_u = _second_derivative(mean, inverse, scale, per_value, own, D, Dx, n)
            ctx.save_for_backward(kept, x, mean, inverse, own, scale, of_u, linear)
        of_x = per_value * inverse * Dx
        return combined(torch.addcmul(per_value * D, of_x, mean, value=-1), scale, d, of_x, x), own_Dx, own_D

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of Φ = Σ u dx + a dw + b db, where u, a and b come from above: see `_second_derivative`."""
        u, a, b = gradients
        d, x, mean, inverse, own, scale, of_u, linear = ctx.saved_tensors
        if d is None:
            own_U, own_Ux = own_sums(u, x, mean, inverse)
            own_P = own_U
        else:
            # Two rows of the coefficients are 0 and 1.
            own_U, own_Ux, own_P = sums_of_both(u, x, d, mean, inverse, linear[0, 2], linear[0, 7])
        sums = ctx.total.in_place(torch.stack([own_U, own_Ux, own_P, *(a * own).unbind(), own_P, a, b]), rows=5)
        constant, of_x, by_weight, constant_of_x, x_of_x = (linear * sums).sum(1).unbind()
        if d is None:
            return combined(constant, scale, u, of_x, x), *[None] * 7
        by_d, by_x = combined_twice(u, x, d, constant, scale, of_x, constant_of_x, of_u, x_of_x)
        return by_d, by_x, by_weight, *[None] * 5


def _second_derivative(
    mean: Tensor,
    inverse: Tensor,
    scale: Tensor,
    per_value: Tensor,
    own: Tensor,
    D: Tensor,
    Dx: Tensor,
    n: int | Tensor,
) -> tuple[Tensor, Tensor]:
    """What the gradient of Φ = Σ u dx + a dw + b db is made of, per channel: linear in the sums over u, a and b.

    With U = Σ u, Ux = Σ u x̂ and P = Σ u d over the global batch, and aD, aDx sums over workers of a own D, a own Dx,
    Φ = w s (P − U D / N − Ux Dx / N) + aDx + Σ over workers of b own D, where m and s depend on x too:
    ∂x̂/∂x and ∂s/∂x = −s² x̂ / N bring in T = P − U D / N − Ux Dx / N and the sums of q = ∂Φ/∂x̂. So

        ∂Φ/∂d = w s u + s (a − w s Ux / N) x + constant
        ∂Φ/∂w = s (own P − (U own D + Ux own Dx) / N)
        q     = −(w s / N) (u Dx + d Ux) + a d
        ∂Φ/∂x = s (q − Σq / N − x̂ Σq x̂ / N) − w s² T x̂ / N

    Worked out once for a graph, the coefficients make of the few sums of each product all that its two passes over the
    values need: with a kernel for each of them, a product would be mostly launches.

    Args:
        mean, inverse: m and s.
        scale, per_value: w s, and −w s / N.
        own: own D and own Dx, `[2, channels]`.
        D, Dx: of all workers.
        n: N.

    Returns:
        Coefficients `[5, 8, channels]`: rows are, of ∂Φ/∂d, the constant and the factor of x (that of d in ∂Φ/∂x, too),
        ∂Φ/∂w, and of ∂Φ/∂x the constant and the factor of x; columns U, Ux, P, aD, aDx, own P, a, b. And the factor of
        u in ∂Φ/∂x, `[channels]`.
    """
    zero, one = torch.zeros_like(mean), torch.ones_like(mean)
    shift = mean * inverse
    by_Ux = per_value * inverse
    constant = [per_value, -by_Ux * mean, zero, zero, zero, zero, -shift, one]
    of_x = [zero, by_Ux, zero, zero, zero, zero, inverse, zero]
    to_weight = [*(-inverse / n * own).unbind(), zero, zero, zero, inverse, zero, zero]
    # s / N Σq and s / N Σq x̂ + w s² T / N, of which q and x̂ bring in D and Dx once more.
    share = inverse / n
    of_D, of_Dx = share * per_value * D, share * per_value * Dx
    sum_q = torch.stack([of_Dx, of_D, zero, share, zero, zero, zero, zero])
    sum_qx = torch.stack([of_D, 3 * of_Dx, share * scale, zero, share, zero, zero, zero])
    rows = [*map(torch.stack, (constant, of_x, to_weight)), shift * sum_qx - sum_q, -inverse * sum_qx]
    return torch.stack(rows), inverse * per_value * Dx
