"""The Neumann series, summed as a damped fixed-point iteration."""

import math

import torch
from torch import Tensor

from bissl_ray.bilevel.solvers.accuracy import ConvergenceCheck
from bissl_ray.bilevel.solvers.identity import first_order
from bissl_ray.bilevel.solvers.recycling import galerkin_start
from bissl_ray.bilevel.solvers.spectrum import LANCZOS_STEPS, look_at_spectrum
from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, SolveReport


def neumann_series(system: LinearSystem, iterations: int, tolerance: float) -> Outcome:
    """x ← x + α (v − A x) with A = M + H, one product an iteration (Lorraine, Vicol and Duvenaud 2020).

    The series converges for 0 < α < 2 / ‖A‖ on a positive definite A; the plain one, M⁻¹ Σ (−H M⁻¹)ᵏ v, only where
    ‖H M⁻¹‖ < 1. Here it is rescaled: α is 1 over an upper bound on the largest eigenvalue, the largest Ritz value of
    three Lanczos steps from the residual, plus the norm of what they left over (Zhou and Li 2011, "Bounding the
    spectrum of large Hermitian matrices"). These products are counted, on top of `iterations`; later solves with the
    same A use the same bound. Should it be missed, α is cut down to rᵀAr / ‖Ar‖², the step that shrinks the
    residual r most: the residual never grows. The report gives the smallest α.

    A Ritz value that is not positive, or a residual with rᵀAr ≤ 0, stops the solve at the iterate so far;
    where that is still 0, the answer is M⁻¹ v (see `first_order`).
    """
    start, _ = galerkin_start(system)
    x, r = start.x, start.residual
    report = SolveReport("iterations", residuals=[start.norm])
    check = ConvergenceCheck(system, tolerance)
    image: Tensor | None = None
    for iteration in range(iterations + 1):
        if report.residuals[-1] <= check.goal:
            x, r, done = check.settle(x, r, report)
            if done:
                return Outcome(x, r, report)
        if iteration == iterations:
            break
        if report.step_length is None:
            image = _estimate_spectrum(system, r / report.residuals[-1], report)
        if report.step_length is None:
            break
        image = system.product(r)
        report.products += 1
        bend = r.dot(image)
        step = torch.clamp(bend / image.dot(image), max=report.step_length)
        next_r = torch.addcmul(r, step, image, value=-1)
        curvature, next_squared, length = system.on_host(bend, next_r.dot(next_r), step)
        if curvature <= 0:
            report.stopped_because, report.negative_curvature = "negative_curvature", 1
            break
        if not (math.isfinite(curvature) and math.isfinite(next_squared)):
            report.stopped_because = "non_finite"
            break
        system.known.add(r, image)
        x, r = torch.addcmul(x, step, r), next_r
        report.residuals.append(math.sqrt(next_squared))
        report.step_length = length
    if report.stopped_because == "negative_curvature" and start.cold and len(report.residuals) == 1:
        return first_order(system, image, report)
    return Outcome(x, r, report) if report.stopped_because == "non_finite" else check.confirm(x, r, report)


def _estimate_spectrum(system: LinearSystem, q: Tensor, report: SolveReport) -> Tensor | None:
    """Write what a few Lanczos steps from q show, and the step length or why there is none, into the report.

    Returns:
        A q; None where the estimate was known already.
    """
    image = None
    if system.known.spectrum is None:
        estimate, products = look_at_spectrum(system, q, LANCZOS_STEPS)
        report.products += LANCZOS_STEPS
        image = products[0][1]
        if estimate is None:
            report.stopped_because = "non_finite"
            return image
        for product in products:
            system.known.add(*product)
        system.known.spectrum = estimate
    spectrum = system.known.spectrum
    report.add_ritz_values((spectrum.smallest, spectrum.largest))
    if spectrum.smallest <= 0:
        report.stopped_because, report.negative_curvature = "negative_curvature", 1
    else:
        report.step_length = 1.0 / (spectrum.largest + spectrum.rest)
    return image
