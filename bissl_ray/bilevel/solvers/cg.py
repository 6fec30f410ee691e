"""Conjugate gradients on the whole parameter vector."""

import math

import torch
from torch import Tensor

from bissl_ray.bilevel.solvers.accuracy import ConvergenceCheck
from bissl_ray.bilevel.solvers.frugal_cg import frugal_conjugate_gradient
from bissl_ray.bilevel.solvers.identity import first_order
from bissl_ray.bilevel.solvers.recycling import Direction, galerkin_start
from bissl_ray.bilevel.solvers.ritz import ConjugateGradientRitz
from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, SolveReport, StopReason


def conjugate_gradient(system: LinearSystem, iterations: int, tolerance: float) -> Outcome:
    """Solve by conjugate gradients (Hestenes and Stiefel 1952); one product an iteration.

    Each direction is made conjugate not only to the one before it but to all that `system.known` still holds: those of
    earlier solves, so that this one doesn't search there again (augmented conjugate gradients, Erhel and
    Guyomarc'h 2000), and its own, which rounding would let drift apart. Each step goes to the minimum along its
    direction, so that ½ xᵀ(M + H)x − vᵀx never rises, from the start on.

    The residuals are those of the recursion. Where it has converged but rounding may have parted it from the truth,
    the true residual is measured (see `ConvergenceCheck`); if that is too large, the solve restarts from it.

    A direction p with pᵀ(M + H)p ≤ 0 stops the solve before it is taken, at the iterate so far: as in truncated
    Newton methods (Nocedal and Wright 2006, algorithm 7.1) it is the lowest that ½ xᵀ(M + H)x − vᵀx got, and vᵀx > 0.
    But that form has no minimum then, and low may be far away: where the iterate's residual exceeds that of 0, or it
    is still 0, the answer is M⁻¹ v (see `first_order`). The next solves with the same matrix start at 0.

    Where `system.known` keeps rounded pairs, it is `frugal_conjugate_gradient`.
    """
    if system.known.rounded is not None and not system.known.indefinite:
        return frugal_conjugate_gradient(system, system.known.rounded, iterations, tolerance)
    start, directions = galerkin_start(system)
    from_before = len(directions)
    x, r, next_r = start.x, start.residual, torch.empty_like(start.residual)
    report = SolveReport("iterations", residuals=[start.norm])
    check, ritz = ConvergenceCheck(system, tolerance), ConjugateGradientRitz()
    for iteration in range(iterations + 1):
        if report.residuals[-1] <= check.goal:
            report.add_ritz_values(ritz.values())
            x, r, done = check.settle(x, r, report)
            if done:
                return Outcome(x, r, report)
            ritz = ConjugateGradientRitz()
            # The minimum over the directions so far: what rounding let slip there, without a product.
            for direction in directions:
                direction.step(x, r, direction.vector.dot(r) / direction.size)
            report.residuals[-1] = system.norm(r)
        if iteration == iterations:
            break
        p = _conjugate(r, directions)
        image = system.product(p)
        report.products += 1
        bend = p.dot(image)
        step = p.dot(r) / bend
        torch.addcmul(r, step, image, value=-1, out=next_r)
        curvature, next_squared = system.on_host(bend, next_r.dot(next_r))
        stopped = _trouble(curvature, next_squared)
        if stopped != "non_finite":
            ritz.add(curvature / report.residuals[-1] ** 2)
        if stopped is not None:
            report.stopped_because = stopped
            break
        system.known.add(p, image)
        directions.append(Direction(p, image, bend))
        del directions[from_before : max(from_before, len(directions) - max(1, system.known.capacity))]
        x.addcmul_(step, p)
        r, next_r = next_r, r
        ritz.turn(curvature / report.residuals[-1] ** 2, next_squared / report.residuals[-1] ** 2)
        report.residuals.append(math.sqrt(next_squared))
    report.add_ritz_values(ritz.values())
    if report.stopped_because == "negative_curvature":
        report.negative_curvature = 1
        system.known.indefinite = True
        untouched = start.cold and len(report.residuals) == 1
        if untouched or report.residuals[-1] > 1.0:
            return first_order(system, image if untouched else None, report)
    return Outcome(x, r, report) if report.stopped_because == "non_finite" else check.confirm(x, r, report)


def _conjugate(r: Tensor, directions: list[Direction]) -> Tensor:
    """What of r is conjugate to all directions."""
    p = r.clone()
    for vector, image, energy in directions:
        p.addcmul_(image.dot(p) / energy, vector, value=-1)
    return p


def _trouble(curvature: float, next_squared: float) -> StopReason | None:
    if not math.isfinite(curvature):
        return "non_finite"
    if curvature <= 0:
        return "negative_curvature"
    return None if math.isfinite(next_squared) else "non_finite"
