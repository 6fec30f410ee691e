"""A fully first-order hypergradient: two minima of the lower objective, one pulled by the upper loss, and their gap."""

import math

import torch

from bissl_ray.bilevel.curvature.differences import reach
from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, SolveReport


def f2sa(system: LinearSystem, iterations: int, tolerance: float) -> Outcome:
    """x = −σ δ, δ the gap between θ* and the minimum that v / σ pulls it to (F²SA: Kwon, Kwon, Wright and Nowak 2023).

    δ minimises L_P(θ* + δ) − ⟨∇L_P(θ*), δ⟩ + ½ ‖δ‖²_M + ⟨v, δ⟩ / σ. For u = −σ δ the gradient is −r / σ with

        r(u) = v − M u + σ (∇L_P(θ* − u / σ) − ∇L_P(θ*))  →  v − (M + H) u     as σ → ∞

    A step tries u + α r, which costs one gradient of L_P there, and of what it tells goes as far along r as the
    residual, taken to change evenly on the way, gets least: it never grows. α is one over the largest
    entry of M at first, then what the last step's length was. The residual reported is that of this evenness.

    σ is no setting: the first try displaces θ by `reach`, a share of ‖θ‖ that its type's rounding allows, so that it
    scales with neither v nor θ. Each gradient counts as one product; that at θ* itself, once an alternation, takes the
    place of a graph. Where the operator knows L_P by its products alone, the change is H times the displacement: σ = ∞.
    """
    report, r = SolveReport("iterations", residuals=[1.0]), system.rhs.clone()
    u, goal = torch.zeros_like(r), system.close_enough(tolerance)
    length = 1.0 / system.diagonal.max()
    inverse_sigma = reach(system.curvature.params) / length
    for _ in range(iterations):
        if report.residuals[-1] <= goal:
            report.stopped_because = "tolerance"
            break
        tried = length * r
        change = system.curvature.flat_change(-inverse_sigma * (u + tried)).div_(-inverse_sigma)
        report.products += 1
        # What the try takes off r: r − r(u + tried).
        fall = r - (system.rhs - system.diagonal * (u + tried) - change)
        bend = r.dot(fall)
        share = bend / fall.dot(fall)
        next_r = torch.addcmul(r, share, fall, value=-1)
        curvature, next_squared, size = system.on_host(bend / length, next_r.dot(next_r), share * length)
        if not (math.isfinite(curvature) and math.isfinite(next_squared)):
            report.stopped_because = "non_finite"
            return Outcome(u, r, report)
        report.add_ritz_values((curvature / report.residuals[-1] ** 2,))
        report.negative_curvature += curvature <= 0
        u.addcmul_(share, tried)
        r = next_r
        report.residuals.append(math.sqrt(next_squared))
        if size > 0:
            length = share * length
    return Outcome(u, r, report)
