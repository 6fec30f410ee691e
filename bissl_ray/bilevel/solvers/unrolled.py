"""The gradient through the last steps of the lower level, as if it had arrived before them."""

import math

import torch
from torch import Tensor

from bissl_ray.bilevel.solvers.spectrum import LANCZOS_STEPS, look_at_spectrum
from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, SolveReport


def unrolled(system: LinearSystem, iterations: int, tolerance: float) -> Outcome:  # noqa: ARG001
    """x = η Σ_{k<K} (I − η A)ᵏ v with A = M + H and K = `iterations` (Shaban, Cheng, Hatch and Boots 2019).

    M x is the gradient by θ_D of L_D(θ_K), θ_K being K gradient steps of rate η from θ* on the curvature batch. It is
    exact where θ* is stationary, since no step moves θ then, and A is the same in all (docs/hypergradient.md). With
    K = 1 it is M η v: T1 − T2 (Luketina, Berglund, Greff and Raiko 2016), which takes no product.

    η is one over a bound on ‖A‖, three products once an alternation, so that the steps converge where A is positive
    definite; whatever its eigenvalues, K steps have a gradient. K steps take K − 1 products, one fewer where the bound
    is taken in this solve. It always starts at 0, and `tolerance` doesn't matter. The last residual is the one before,
    which it doesn't exceed where A is positive definite (`report.estimated`); with K = 1 none is known.
    """
    report, r = SolveReport("iterations", residuals=[1.0]), system.rhs.clone()
    x, image = torch.zeros_like(r), _bound(system, report)
    if report.step_length is None:
        report.stopped_because = "non_finite"
        return Outcome(x, r, report)
    for _ in range(iterations - 1):
        if image is None:
            image = system.product(r)
            report.products += 1
        x.add_(r, alpha=report.step_length)
        r.sub_(image, alpha=report.step_length)
        image = None
        report.residuals.append(system.norm(r))
        if not math.isfinite(report.residuals[-1]):
            report.stopped_because = "non_finite"
            return Outcome(x, r, report)
    x.add_(r, alpha=report.step_length)
    report.residuals = [] if iterations == 1 else [*report.residuals, report.residuals[-1]]
    report.estimated = iterations > 1
    return Outcome(x, None, report)


def _bound(system: LinearSystem, report: SolveReport) -> Tensor | None:
    """Write the step length, if there is one, and Ritz values into the report; returns A v where it was computed."""
    image = None
    if system.known.spectrum is None:
        system.known.spectrum, products = look_at_spectrum(system, system.rhs.clone(), LANCZOS_STEPS)
        report.products += LANCZOS_STEPS
        image = products[0][1]
    spectrum = system.known.spectrum
    if spectrum is not None:
        report.add_ritz_values((spectrum.smallest, spectrum.largest))
        report.negative_curvature = int(spectrum.smallest <= 0)
        report.step_length = 1.0 / (max(abs(spectrum.smallest), abs(spectrum.largest)) + spectrum.rest)
    return image
