"""Gradient steps on the linear system, gone on with from each upper step to the next."""

import math

import torch
from torch import Tensor

from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, SolveReport


def soba(system: LinearSystem, iterations: int, tolerance: float) -> Outcome:
    """z ← z + ρ (v − A z) with A = M + H, few times, z carried on (SOBA: Dagréou, Ablin, Vaiter and Moreau 2022).

    z is never solved for anew: each upper step takes `iterations` gradient steps on ½ zᵀA z − vᵀz with its own v, from
    the z of the one before, also where another alternation has begun and A is another. The first z is 0. So z follows
    the solution for v's mean, and the residual that is reported is against this step's v alone.

    ρ is no setting: the step goes to the least residual along r = v − A z, ρ = rᵀAr / ‖A r‖² (Saad 2003, section
    5.3.2). It lies among the inverse eigenvalues, as 1/‖A‖ does, and the residual never grows within a step, whatever
    the signs of the eigenvalues; a negative one is counted. It needs A r, which the step takes anyway: A z follows by
    recursion, since A (z + ρ r) = A z + ρ A r. So an upper step costs `iterations` products, and an alternation one
    more, for A z with its A. Steps end early where the residual is down at the tolerance.
    """
    known, report = system.known, SolveReport("iterations")
    goal = system.close_enough(tolerance)
    z, image = torch.zeros_like(system.rhs), torch.zeros_like(system.rhs)
    if known.carried is not None:
        z = known.carried / system.length
        if known.carried_image is None:
            image = system.product(z)
            report.products += 1
        else:
            image = known.carried_image / system.length
    r = system.rhs - image
    report.residuals.append(system.norm(r))
    for _ in range(iterations):
        norm = report.residuals[-1]
        if not norm > goal:
            report.stopped_because = "tolerance" if math.isfinite(norm) else "non_finite"
            break
        change = system.product(r)
        report.products += 1
        bend = r.dot(change)
        step = bend / change.dot(change)
        next_r = torch.addcmul(r, step, change, value=-1)
        curvature, next_squared = system.on_host(bend, next_r.dot(next_r))
        if not (math.isfinite(curvature) and math.isfinite(next_squared)):
            report.stopped_because = "non_finite"
            break
        # A Rayleigh quotient, which lies in the spectrum.
        report.add_ritz_values((curvature / norm**2,))
        report.negative_curvature += curvature <= 0
        z.addcmul_(step, r)
        r = next_r
        report.residuals.append(math.sqrt(next_squared))
    _carry(system, z, r, report)
    return Outcome(z, r, report)


def _carry(system: LinearSystem, z: Tensor, r: Tensor, report: SolveReport) -> None:
    """Leave z and A z for the next upper step, where these are numbers, unscaled: ‖v‖ is each step's own."""
    known, finite = system.known, report.stopped_because != "non_finite"
    known.carried = system.length * z if finite else None
    known.carried_image = system.length * (system.rhs - r) if finite else None
