"""A linear solve as one of an alternation's: with the damping that its curvature asks for, and what it starts from."""

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from bissl_ray.bilevel.curvature.operator import CurvatureOperator
from bissl_ray.bilevel.damping import damping_used
from bissl_ray.bilevel.solve import Solution, diagonal_of, solve
from bissl_ray.bilevel.solvers import KnownProducts, LinearSystem
from bissl_ray.bilevel.solvers.handing_over import hand_over
from bissl_ray.config.settings import SolverSettings

_START_FROM_PAIRS: Final = ("cg", "minres", "neumann")


def reuses_solution(settings: SolverSettings) -> bool:
    """Whether an alternation's first solve starts from the last one's solution, which is kept for it."""
    return settings.reuse_solution and settings.solves and settings.solver in _START_FROM_PAIRS


def solve_in_alternation(
    H: CurvatureOperator,
    v: Sequence[Tensor],
    proximity: float | Sequence[float],
    settings: SolverSettings,
    known: KnownProducts,
) -> Solution:
    """M (M + H)⁻¹ v as the settings ask for it.

    Args:
        H: the curvature, the same in all solves of the alternation.
        v: the right-hand side, tensors shaped as `H.params`, the same on all workers.
        proximity: λ, one number, or one per parameter tensor.
        settings: damping, damping_relative, reuse_solution, solver, cg_iterations and cg_tolerance are read.
        known: what the alternation's earlier solves left, or for its first what the last alternation did.

    Returns:
        As `solve`; all products are in its report.

    Raises:
        ValueError: as `solve`.
    """
    damping, products = damping_used(H, v, proximity, settings, known)
    if known.carried is not None and reuses_solution(settings):
        products += _start_from_carried(H, proximity, damping, settings.solver, known)
    solution = solve(H, v, proximity, damping, settings.solver, settings.cg_iterations, settings.cg_tolerance, known)
    solution.report.products += products
    if known.damping is not None and products and known.spectrum is not None:
        solution.report.add_ritz_values((known.spectrum.smallest, known.spectrum.largest))
    return solution


@torch.no_grad()
def _start_from_carried(
    H: CurvatureOperator, proximity: float | Sequence[float], damping: float, method: str, known: KnownProducts
) -> int:
    """Leave the carried solution among the known products; returns how many products that took.

    The next solve then starts from the best multiple of it, where its residual is smaller than that of 0: by energy or
    by residual, as its method starts from any known product.
    """
    carried, known.carried = known.carried, None
    assert carried is not None
    system = LinearSystem(H, diagonal_of(H, proximity, damping, carried), carried, known)
    length = system.norm(carried)
    if length == 0 or not math.isfinite(length):
        return 0
    vector = carried / length
    if known.rounded is not None:
        vector = known.rounded.rounded(vector)
    hand_over(system, vector, H.flat_matvec(vector), method)
    return 1
