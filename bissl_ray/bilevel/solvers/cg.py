"""Conjugate gradients on the whole parameter vector."""

import math

import torch

from bissl_ray.bilevel.report import SolveReport, StopReason
from bissl_ray.bilevel.solvers.fallback import first_order
from bissl_ray.bilevel.solvers.recycling import galerkin_start
from bissl_ray.bilevel.solvers.ritz import ConjugateGradientRitz
from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome


def conjugate_gradient(system: LinearSystem, iterations: int, tolerance: float) -> Outcome:
    """Solve by conjugate gradients (Hestenes and Stiefel 1952); one product an iteration.

    The residuals are those of the recursion, equal to the true ones up to rounding. A direction p with
    pᵀ(M + H)p ≤ 0 stops the solve before it is taken, at the iterate so far: as in truncated Newton methods
    (Nocedal and Wright 2006, algorithm 7.1) it is the lowest that ½ xᵀ(M + H)x − vᵀx got, and vᵀx > 0, although its
    residual may exceed that of 0. Where that iterate is still 0, the answer is M⁻¹ v (see `fallback`).
    """
    start = galerkin_start(system)
    x, r = start.x, start.residual
    p, square = r, r.dot(r)
    report = SolveReport("iterations", residuals=[start.norm])
    ritz = ConjugateGradientRitz()
    for _ in range(iterations):
        if report.residuals[-1] <= system.close_enough(tolerance):
            break
        image = system.product(p)
        report.products += 1
        bend = p.dot(image)
        step = square / bend
        next_r = torch.addcmul(r, step, image, value=-1)
        next_square = next_r.dot(next_r)
        curvature, next_squared = system.on_host(bend, next_square)
        stopped = _trouble(curvature, next_squared)
        if stopped != "non_finite":
            ritz.add(curvature / report.residuals[-1] ** 2)
        if stopped is not None:
            report.stopped_because = stopped
            break
        system.known.add(p, image)
        x, r = torch.addcmul(x, step, p), next_r
        beta, square = next_square / square, next_square
        p = torch.addcmul(r, beta, p)
        ritz.turn(curvature / report.residuals[-1] ** 2, next_squared / report.residuals[-1] ** 2)
        report.residuals.append(math.sqrt(next_squared))
    report.curvature = ritz.extremes()
    if report.stopped_because == "negative_curvature":
        report.negative_curvature = 1
        if start.cold and len(report.residuals) == 1:
            return first_order(system, report)
    elif report.stopped_because == "iterations" and report.residuals[-1] <= system.close_enough(tolerance):
        report.stopped_because = "tolerance"
    return Outcome(x, r, report)


def _trouble(curvature: float, next_squared: float) -> StopReason | None:
    if not math.isfinite(curvature):
        return "non_finite"
    if curvature <= 0:
        return "negative_curvature"
    return None if math.isfinite(next_squared) else "non_finite"
