"""The passes over values that batch normalisation takes, as torch's operations and for a compiler (`fused`).

Values are `[rows, channels, ...]`, what stands beside them `[channels]`; sums are taken per channel, in the type of the
latter, and results are typed as the values.
"""

import torch
from torch import Tensor

from bissl_ray.fused import Fused


def own_sums(upstream: Tensor, x: Tensor, mean: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """Σ upstream and Σ upstream · x̂ with x̂ = (x − mean) · inverse, in one fused pass of torch's own."""
    # The sums don't depend on the weight, but CUDA's kernel shapes them like it: any tensor of that shape will do.
    _, weighted, plain = torch.ops.aten.native_batch_norm_backward(
        upstream, x, inverse, None, None, mean, inverse, True, 0.0, [False, True, True]
    )
    return plain, weighted


def _sums_of_both(
    u: Tensor, x: Tensor, d: Tensor, mean: Tensor, inverse: Tensor, zero: Tensor, one: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return *own_sums(u, x, mean, inverse), own_sums(u, d, zero, one)[1]


def _sums_of_both_plainly(
    u: Tensor, x: Tensor, d: Tensor, mean: Tensor, inverse: Tensor, zero: Tensor, one: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    values, kind = [0, *range(2, u.dim())], mean.dtype
    u, x, d = u.to(kind), x.to(kind), d.to(kind)
    of_x = (x - _beside(x, mean)) * _beside(x, inverse)
    of_d = (d - _beside(d, zero)) * _beside(d, one)
    return u.sum(values), (u * of_x).sum(values), (u * of_d).sum(values)


def _combine(constant: Tensor, *terms: tuple[Tensor, Tensor]) -> Tensor:
    """Σ coefficient · values + constant, in as many passes as terms."""
    total = torch.addcmul(_beside(terms[0][1], constant), _beside(terms[0][1], terms[0][0]), terms[0][1])
    for coefficient, values in terms[1:]:
        total.addcmul_(_beside(values, coefficient), values)
    return total.to(terms[0][1].dtype)


def _moved(constant: Tensor, a: Tensor, x: Tensor) -> Tensor:
    return _combine(constant, (a, x))


def _moved_plainly(constant: Tensor, a: Tensor, x: Tensor) -> Tensor:
    return (_beside(x, constant) + _beside(x, a) * x).to(x.dtype)


def _combined(constant: Tensor, a: Tensor, x: Tensor, b: Tensor, y: Tensor) -> Tensor:
    return _combine(constant, (a, x), (b, y))


def _combined_plainly(constant: Tensor, a: Tensor, x: Tensor, b: Tensor, y: Tensor) -> Tensor:
    return (_beside(x, constant) + _beside(x, a) * x + _beside(y, b) * y).to(x.dtype)


def _combined_twice(
    u: Tensor, x: Tensor, d: Tensor, c: Tensor, by_u: Tensor, both: Tensor, e: Tensor, f: Tensor, g: Tensor
) -> tuple[Tensor, Tensor]:
    return _combine(c, (by_u, u), (both, x)), _combine(e, (f, u), (both, d), (g, x))


def _combined_twice_plainly(
    u: Tensor, x: Tensor, d: Tensor, c: Tensor, by_u: Tensor, both: Tensor, e: Tensor, f: Tensor, g: Tensor
) -> tuple[Tensor, Tensor]:
    c, by_u, both, e, f, g = (_beside(u, each) for each in (c, by_u, both, e, f, g))
    return (c + by_u * u + both * x).to(u.dtype), (e + f * u + both * d + g * x).to(x.dtype)


def _beside(values: Tensor, of_channels: Tensor) -> Tensor:
    return of_channels.view([1, -1] + [1] * (values.dim() - 2))


sums_of_both = Fused(_sums_of_both, _sums_of_both_plainly)
"""Σ u, Σ u x̂ and Σ u d, by u, x, d, mean, inverse, and a zero and a one per channel."""
moved = Fused(_moved, _moved_plainly)
"""constant + a x."""
combined = Fused(_combined, _combined_plainly)
"""constant + a x + b y, by constant, a, x, b, y."""
combined_twice = Fused(_combined_twice, _combined_twice_plainly)
"""c + by_u u + both x, and e + f u + both d + g x, by u, x, d and the coefficients in that order."""
