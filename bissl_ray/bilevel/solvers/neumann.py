"""The Neumann series, summed as a damped fixed-point iteration."""

import math

import torch

from bissl_ray.bilevel.report import SolveReport
from bissl_ray.bilevel.solvers.fallback import first_order
from bissl_ray.bilevel.solvers.recycling import galerkin_start
from bissl_ray.bilevel.solvers.ritz import extreme_eigenvalues
from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, Start

LANCZOS_STEPS = 3


def neumann_series(system: LinearSystem, iterations: int, tolerance: float) -> Outcome:
    """x ← x + α (v − A x) with A = M + H, one product an iteration (Lorraine, Vicol and Duvenaud 2020).

    The series converges for 0 < α < 2 / ‖A‖ on a positive definite A. α is 1 over an upper bound on the
    largest eigenvalue: the largest Ritz value of three Lanczos steps from the residual, plus the norm of
    what they left over (Zhou and Li 2011, "Bounding the spectrum of large Hermitian matrices"). These three
    products are counted, on top of `iterations`. Should the bound be missed, α is cut down to
    rᵀAr / ‖Ar‖², the step that shrinks the residual r most: the residual never grows.

    A Ritz value that is not positive, or a residual with rᵀAr ≤ 0, stops the solve at the iterate so far;
    where that is still 0, the answer is M⁻¹ v (see `fallback`).
    """
    start = galerkin_start(system)
    x, r = start.x, start.residual
    report = SolveReport("iterations", residuals=[start.norm])
    if start.norm <= system.close_enough(tolerance):
        report.stopped_because = "tolerance"
        return Outcome(x, r, report)
    longest_step = _prepare(system, start, report)
    for _ in range(iterations):
        if report.stopped_because != "iterations":
            break
        image = system.product(r)
        report.products += 1
        bend = r.dot(image)
        step = torch.clamp(bend / image.dot(image), max=longest_step)
        next_r = torch.addcmul(r, step, image, value=-1)
        curvature, next_squared = system.on_host(bend, next_r.dot(next_r))
        if curvature <= 0:
            report.stopped_because, report.negative_curvature = "negative_curvature", 1
        elif not (math.isfinite(curvature) and math.isfinite(next_squared)):
            report.stopped_because = "non_finite"
        else:
            system.known.add(r, image)
            x, r = torch.addcmul(x, step, r), next_r
            report.residuals.append(math.sqrt(next_squared))
            if report.residuals[-1] <= system.close_enough(tolerance):
                report.stopped_because = "tolerance"
    if report.stopped_because == "negative_curvature" and start.cold and len(report.residuals) == 1:
        return first_order(system, report)
    return Outcome(x, r, report)


def _prepare(system: LinearSystem, start: Start, report: SolveReport) -> float:
    """Run the Lanczos steps, write what they show into the report, and return the longest safe step."""
    q = start.residual / start.norm
    before, beta = torch.zeros_like(q), torch.zeros_like(q[0])
    alphas, betas = [], []
    for _ in range(LANCZOS_STEPS):
        w = torch.addcmul(system.product(q), beta, before, value=-1)
        report.products += 1
        alphas.append(w.dot(q))
        w = torch.addcmul(w, alphas[-1], q, value=-1)
        beta = torch.linalg.vector_norm(w)
        betas.append(beta)
        before, q = q, w / beta
    numbers = system.on_host(*alphas, *betas)
    diagonal, beside = numbers[:LANCZOS_STEPS], numbers[LANCZOS_STEPS:]
    # Nothing left over: the Krylov space is exhausted, and what was computed after it is noise.
    scale = max(abs(diagonal[0]), beside[0]) * system.close_enough(0.0)
    size = next((i + 1 for i, rest in enumerate(beside) if rest <= scale), LANCZOS_STEPS)
    if not all(math.isfinite(number) for number in diagonal[:size] + beside[:size]):
        report.stopped_because = "non_finite"
        return 0.0
    report.curvature = extreme_eigenvalues(diagonal[:size], beside[: size - 1])
    smallest, largest = report.curvature
    if smallest <= 0:
        report.stopped_because, report.negative_curvature = "negative_curvature", 1
        return 0.0
    return 1.0 / (largest + beside[size - 1])
