"""Conjugate gradients for many systems with one matrix, solved no more closely than asked for."""

import math
from typing import Final

import torch
from torch import Tensor

from bissl_ray.bilevel.solvers.accuracy import ConvergenceCheck
from bissl_ray.bilevel.solvers.identity import first_order
from bissl_ray.bilevel.solvers.ritz import ConjugateGradientRitz
from bissl_ray.bilevel.solvers.rounded_pairs import RoundedPairs
from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, SolveReport

_WORTH_IT: Final = 0.5
"""A step that may leave more than this share is not taken."""


def frugal_conjugate_gradient(system: LinearSystem, pairs: RoundedPairs, iterations: int, tolerance: float) -> Outcome:
    """Solve as `conjugate_gradient`, with rounded pairs, and without the last product.

    An iteration goes along p by pᵀr / pᵀ(M + H)p, which takes a product. The last one goes by pᵀr / pᵀMp, H left out,
    which takes none. With no iteration before it that would be the identity, M⁻¹ v; after some, p lies where H is small
    beside M, since directions of large curvature are searched first, and kept from solve to solve.

    How much of the residual such a step would have left is known once its product is, so each iteration takes note of
    that share. The next step is expected to leave at most as many times more as any share grew from one iteration to
    the next in this alternation, and at least six times. Where this brings the residual down to the tolerance, it ends
    the solve, and the residual reported is the expected one; it also betters the answer where the solve ends otherwise.
    The alternation's first solve has nothing to expect by, and computes all its products.

    Negative curvature is met as there.
    """
    (x, r), norm, cold = pairs.solve_within(system.rhs, system.diagonal), 1.0, len(pairs) == 0
    if not cold:
        norm = system.norm(r)
    if not norm < 1.0:
        pairs.clear()
        x, r, norm, cold = pairs.at_zero(), system.rhs.clone(), 1.0, True
    report = SolveReport("iterations", residuals=[norm])
    check, ritz = ConvergenceCheck(system, tolerance), ConjugateGradientRitz()
    first, share, settled = not pairs.searched, math.inf, False
    bent: Tensor | None = None
    for iteration in range(iterations + 1):
        if report.residuals[-1] <= check.goal:
            report.add_ritz_values(ritz.values())
            found, r, settled = check.settle(x.whole(r), r, report)
            x = x.at(found)
            if settled:
                break
            ritz, share = ConjugateGradientRitz(), math.inf
        norm = report.residuals[-1]
        if not first and pairs.growth * share * norm <= check.goal:
            report.stopped_because = "tolerance"
        if iteration == iterations or report.stopped_because == "tolerance":
            break
        p = pairs.conjugate(r, system.diagonal)
        image = system.product(p)
        report.products += 1
        along, bend = p.dot(r), p.dot(image)
        left = torch.empty_like(r)  # not before: a product needs all the memory
        step, strength = along / bend, strength_of(system, p, image, left)
        torch.addcmul(r, _guessed(system, p, along), image, value=-1, out=left)
        left_squared = left.dot(left)
        torch.addcmul(r, step, image, value=-1, out=left)
        curvature, next_squared, *shares = system.on_host(bend, left.dot(left), left_squared, strength)
        if not (math.isfinite(curvature) and (math.isfinite(next_squared) or curvature <= 0)):
            report.stopped_because = "non_finite"
            return Outcome(x.whole(r), r, report)
        ritz.add(curvature / norm**2)
        if curvature <= 0:
            report.stopped_because, bent = "negative_curvature", image
            break
        r = left
        ritz.turn(curvature / norm**2, next_squared / norm**2)
        report.residuals.append(math.sqrt(next_squared))
        share, before = math.sqrt(shares[0]) / norm, share
        if before > 0:
            pairs.growth = max(pairs.growth, share / before)
        x.step(step, pairs.add(p, image, system.diagonal, bend, shares[1]), r)
        pairs.searched = True
        # A name would hold its vector until the next product is there.
        del p, image, left
    report.add_ritz_values(ritz.values())
    if report.stopped_because == "negative_curvature":
        report.negative_curvature, system.known.indefinite = 1, True
        pairs.clear()
        untouched = cold and len(report.residuals) == 1
        if untouched or report.residuals[-1] > 1.0:
            return first_order(system, bent if untouched else None, report)
    elif not first and report.stopped_because != "stagnated" and pairs.growth * share <= _WORTH_IT:
        p, found = pairs.conjugate_and_whole(r, system.diagonal, x)
        found.addcmul_(_guessed(system, p, p.dot(r)), p)
        report.residuals.append(pairs.growth * share * report.residuals[-1])
        report.estimated = True
        return Outcome(found, None, report)
    return Outcome(x.whole(r), r, report) if settled else check.confirm(x.whole(r), r, report)


def _guessed(system: LinearSystem, p: Tensor, along: Tensor) -> Tensor:
    """The step along p were there no H: pᵀr / pᵀMp."""
    return along / (p.dot(p) * system.diagonal if system.diagonal.dim() == 0 else p.dot(system.diagonal * p))


def strength_of(system: LinearSystem, p: Tensor, image: Tensor, room: Tensor) -> Tensor:
    """‖H p‖ / ‖M p‖; the room, a vector, is written to."""
    length = torch.linalg.vector_norm(torch.mul(system.diagonal, p, out=room))
    strength: Tensor = torch.linalg.vector_norm(torch.sub(image, room, out=room)) / length
    return strength
