"""Damping as a share of what it damps: the strength of H on the batch of an alternation."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bissl_ray.bilevel.curvature.operator import CurvatureOperator
from bissl_ray.bilevel.curvature.vectors import flatten
from bissl_ray.bilevel.solve import diagonal_of
from bissl_ray.bilevel.solvers import KnownProducts, LinearSystem
from bissl_ray.bilevel.solvers.handing_over import hand_over
from bissl_ray.bilevel.solvers.known_products import SpectrumEstimate
from bissl_ray.bilevel.solvers.spectrum import LANCZOS_STEPS, look_at_spectrum
from bissl_ray.config.settings import SolverSettings


@torch.no_grad()
def damping_used(
    H: CurvatureOperator,
    v: Sequence[Tensor],
    proximity: float | Sequence[float],
    settings: SolverSettings,
    known: KnownProducts,
) -> tuple[float, int]:
    """damping + damping_relative · s, with s the largest Ritz value of H in magnitude (issue 16).

    s comes from three Lanczos steps from the alternation's first v, and holds for all its solves: H is fixed in it. It
    scales with the loss, so that c · L_P and Λ = 0 give the same hypergradient whatever c > 0. In magnitude, so that
    damping_relative of 1 or more makes M + H positive definite as far as Ritz values tell. It is a bound from below
    (Saad 2011, "Numerical Methods for Large Eigenvalue Problems", section 4.3).

    The products are not lost: they are left in `known`, where the first solve starts. With one weight for all
    parameters it would have computed them anyway, since H and M + H have the same Krylov space.

    Args:
        H: the curvature.
        v: the right-hand side, tensors shaped as `H.params`, the same on all workers.
        proximity: λ, one number, or one per parameter tensor.
        settings: damping, damping_relative, and whether anything is solved are read.
        known: of this alternation; the damping is kept in it.

    Returns:
        The damping, the same on all workers, and how many products it took. Where H is 0 along v, or nothing is known
        of it since v is 0 or not finite, s is 1.
    """
    if settings.damping_relative == 0 or not settings.solves:
        # The identity's answer doesn't depend on M, but M must be positive all the same.
        return settings.damping + settings.damping_relative, 0
    if known.damping is not None:
        return known.damping, 0
    rhs = flatten(v)
    without_m = LinearSystem(H, rhs.new_zeros(()), rhs, known)
    norm = without_m.on_host(torch.linalg.vector_norm(rhs, dtype=torch.float64))[0]
    if norm == 0 or not math.isfinite(norm):
        return settings.damping + settings.damping_relative, 0
    estimate, products = look_at_spectrum(without_m, rhs.div_(norm), LANCZOS_STEPS)
    strength = 0.0 if estimate is None else max(abs(estimate.smallest), abs(estimate.largest))
    known.damping = settings.damping + settings.damping_relative * (strength or 1.0)
    if estimate is not None:
        system = LinearSystem(H, diagonal_of(H, proximity, known.damping, rhs), rhs, known)
        if not isinstance(proximity, Sequence):
            shift = proximity + known.damping
            known.spectrum = SpectrumEstimate(estimate.smallest + shift, estimate.largest + shift, estimate.rest)
        for vector, image in products:
            hand_over(system, vector, image, settings.solver)
    return known.damping, LANCZOS_STEPS
