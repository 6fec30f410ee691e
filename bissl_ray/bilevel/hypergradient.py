"""The gradient of the upper objective with respect to θ_D."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bissl_ray.bilevel.alternation_solve import solve_in_alternation
from bissl_ray.bilevel.curvature.operator import CurvatureOperator
from bissl_ray.bilevel.curvature.vectors import check_shapes, flatten
from bissl_ray.bilevel.solve import Solution
from bissl_ray.bilevel.solvers import KnownProducts
from bissl_ray.config.settings import SolverSettings


@dataclass(frozen=True)
class Hypergradient:
    """The gradient of L_D(θ*(θ_D), φ_D) + γ L_D(θ_D, φ_D) with respect to θ_D.

    Attributes:
        total: tensors shaped as the parameters.
        solution: its implicit part M (M + H)⁻¹ v, and how it was found.
        cosine: between the implicit part and v: 1 where H turns nothing, NaN where either is 0. This and the
            next two are scalars on the device.
        ratio: ‖implicit part‖ / ‖direct‖, of the two upper terms; not finite where direct is 0.
        change: ‖(implicit part + direct) − (v + direct)‖ / ‖v + direct‖, by how much solving changes the
            gradient of θ_D against the first-order baseline, which leaves H out; 0 where nothing is solved.
    """

    total: tuple[Tensor, ...]
    solution: Solution
    cosine: Tensor
    ratio: Tensor
    change: Tensor


@torch.no_grad()
def hypergradient(
    H: CurvatureOperator,
    v: Sequence[Tensor],
    direct: Sequence[Tensor],
    settings: SolverSettings,
    proximity: float | Sequence[float],
    known: KnownProducts | None = None,
) -> Hypergradient:
    """M (M + H)⁻¹ v + direct (docs/hypergradient.md), by the implicit function theorem.

    Args:
        H: the Hessian of the pretext loss with respect to θ at the lower solution θ*.
        v: ∇_θ L_D(θ*, φ_D), averaged over workers, tensors shaped as `H.params`.
        direct: γ ∇ L_D(θ_D, φ_D), averaged over workers, shaped likewise; zeros where γ = 0.
        settings: how the linear system is solved: damping, damping_relative, solver, cg_iterations and
            cg_tolerance are read.
        proximity: λ, one number, or one per parameter tensor.
        known: products of earlier solves with the same H, settings and λ; see `solve`.

    Raises:
        ValueError: as `solve`; `direct` has other shapes than `H.params`.
    """
    check_shapes(direct, H.params, "direct")
    solution = solve_in_alternation(H, v, proximity, settings, KnownProducts(0) if known is None else known)
    implicit, slope, beside = flatten(solution.x), flatten(v), flatten(direct)
    length = torch.linalg.vector_norm(implicit)
    cosine = implicit.dot(slope) / (length * torch.linalg.vector_norm(slope))
    return Hypergradient(
        tuple(torch._foreach_add(solution.x, list(direct))),
        solution,
        cosine.clamp(-1.0, 1.0),  # rounding may take the cosine of a vector with itself past 1
        length / torch.linalg.vector_norm(beside),
        torch.linalg.vector_norm(implicit - slope) / torch.linalg.vector_norm(slope + beside),
    )
