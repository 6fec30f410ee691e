"""Conjugate gradients with step sizes per parameter tensor, as the authors of BiSSL run it."""

import math

import torch
from torch import Tensor

from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, SolveReport, Start


def layerwise_conjugate_gradient(system: LinearSystem, iterations: int, tolerance: float) -> Outcome:
    """The variant of Zakarias, Hansen and Tan (arXiv 2410.02387), kept for parity with their results.

    Each iteration computes (M + H) p for all tensors together, but every parameter tensor takes its own two
    step sizes from its own part of it. This does NOT solve the coupled system, only one whose blocks between
    tensors are 0, and the residuals that the recursion keeps (and the tolerance looks at) are not
    v − (M + H) x. So one more product at the end measures the true one, the last residual reported.

    Where a tensor's part of pᵀ(M + H)p is not positive, its step is left out in that iteration and counted, unless that
    tensor's residual is down at rounding level; the solve goes on with the other tensors. It always starts at 0, as the
    authors do. There are no Ritz values, since no Krylov space of the coupled matrix is built. Where the recursion has
    come down to the tolerance but the true residual has not, the solve has stagnated.
    """
    start = Start.at_zero(system)
    segments = _Segments(system)
    x, r = start.x, start.residual
    p, squares = r, segments.dot(r, r)
    noise = system.close_enough(0.0) ** 2
    report = SolveReport("iterations", residuals=[start.norm])
    for _ in range(iterations):
        if report.residuals[-1] <= system.close_enough(tolerance):
            report.stopped_because = "tolerance"
            break
        image = system.product(p)
        report.products += 1
        bends = segments.dot(p, image)
        steps = torch.where(bends > 0, squares / bends, torch.zeros_like(bends))
        next_r = torch.addcmul(r, segments.spread(steps), image, value=-1)
        next_squares = segments.dot(next_r, next_r)
        left_out = ((bends <= 0) & (squares > noise)).sum().to(r.dtype)
        count, next_squared, total = system.on_host(left_out, next_squares.sum(), bends.sum())
        if not (math.isfinite(next_squared) and math.isfinite(total)):
            report.stopped_because = "non_finite"
            break
        report.negative_curvature += int(count)
        x, r = torch.addcmul(x, segments.spread(steps), p), next_r
        betas = torch.where(squares > 0, next_squares / squares, torch.zeros_like(squares))
        p, squares = torch.addcmul(r, segments.spread(betas), p), next_squares
        report.residuals.append(math.sqrt(next_squared))
    residual = system.rhs - system.product(x)
    report.products += 1
    report.residuals[-1] = system.norm(residual)
    if report.stopped_because == "tolerance" and report.residuals[-1] > system.close_enough(tolerance):
        report.stopped_because = "stagnated"
    return Outcome(x, residual, report)


class _Segments:
    """The stretches of the flat vector that belong to one parameter tensor each."""

    def __init__(self, system: LinearSystem) -> None:
        self._sizes = [parameter.numel() for parameter in system.curvature.params]
        self._lengths = torch.tensor(self._sizes, device=system.rhs.device)

    def dot(self, a: Tensor, b: Tensor) -> Tensor:
        """Dot products per tensor, `[tensors]`."""
        pairs = zip(torch.split(a, self._sizes), torch.split(b, self._sizes), strict=True)
        return torch.stack([one.dot(other) for one, other in pairs])

    def spread(self, numbers: Tensor) -> Tensor:
        """One number per tensor, `[tensors]`, repeated over its entries, `[entries]`."""
        return torch.repeat_interleave(numbers, self._lengths, output_size=sum(self._sizes))
