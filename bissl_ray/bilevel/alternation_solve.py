"""A linear solve as one of an alternation's: with the damping that its curvature asks for."""

from collections.abc import Sequence

from torch import Tensor

from bissl_ray.bilevel.curvature.operator import CurvatureOperator
from bissl_ray.bilevel.damping import damping_used
from bissl_ray.bilevel.solve import Solution, solve
from bissl_ray.bilevel.solvers import KnownProducts
from bissl_ray.config.settings import SolverSettings


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
        settings: damping, damping_relative, solver, cg_iterations and cg_tolerance are read.
        known: what the alternation's earlier solves left.

    Returns:
        As `solve`; all products are in its report.

    Raises:
        ValueError: as `solve`.
    """
    damping, products = damping_used(H, v, proximity, settings, known)
    solution = solve(H, v, proximity, damping, settings.solver, settings.cg_iterations, settings.cg_tolerance, known)
    solution.report.products += products
    if products and known.spectrum is not None:
        solution.report.add_ritz_values((known.spectrum.smallest, known.spectrum.largest))
    return solution
