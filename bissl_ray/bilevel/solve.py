"""The implicit part of the hypergradient: M (M + H)⁻¹ v."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bissl_ray.bilevel.curvature.operator import CurvatureOperator
from bissl_ray.bilevel.curvature.vectors import check_shapes, flatten, unflatten
from bissl_ray.bilevel.solvers import KnownProducts, LinearSystem, Outcome, SolveReport, get_solver
from bissl_ray.config.names import SOLVERS
from bissl_ray.errors import nearest


@dataclass(frozen=True)
class Solution:
    """The result of `solve`.

    Attributes:
        x: M (M + H)⁻¹ v, tensors shaped as the parameters.
        inverse: (M + H)⁻¹ v as one vector of all parameter entries in order.
        image: (M + H) · inverse, such a vector; None where it was not computed.
        report: what happened.
    """

    x: tuple[Tensor, ...]
    inverse: Tensor
    image: Tensor | None
    report: SolveReport


@torch.no_grad()
def solve(
    H: CurvatureOperator,
    v: Sequence[Tensor],
    proximity: float | Sequence[float],
    damping: float,
    method: str = "cg",
    iterations: int = 5,
    tolerance: float = 0.0,
    known: KnownProducts | None = None,
) -> Solution:
    """M (M + H)⁻¹ v with M = diag(proximity + damping): solve (M + H) x = v, then multiply by M.

    M stands on the left of the inverse, because the adjoint of the implicit Jacobian (M + H)⁻¹ M is wanted;
    with unlike proximity weights the other order is another vector.

    Args:
        H: the Hessian of the pretext loss on one lower batch.
        v: ∇_θ of the upper objective at the lower solution, tensors shaped as `H.params`, equal on all
            workers.
        proximity: λ, one number, or one per parameter tensor; at least 0.
        damping: added to λ, at least 0. λ + damping must be positive.
        method: a name in `bissl_ray.config.names.SOLVERS`: "cg", "layerwise_cg", "minres", "neumann", "nystrom",
            "unrolled", "f2sa", "soba", "sama", "identity".
        iterations: at most so many; with 0 every method is "identity". For "nystrom" the number of vectors that H is
            looked at along.
        tolerance: relative residual at which to stop, in [0, 1); 0 stops at rounding level only.
        known: products that earlier solves by the same method with the same H, proximity and damping left; this one
            adds its own. "cg", "minres" and "neumann" start from the best combination of them, "nystrom" builds on
            them. None: start at 0, keep nothing.

    Returns:
        The solution, with a report of what happened. It has no graph.

    Raises:
        ValueError: an argument out of range, of the wrong shape or not known.
    """
    check_shapes(v, H.params)
    check_arguments(proximity, damping, method, iterations, tolerance)
    rhs = flatten(v)
    diagonal = diagonal_of(H, proximity, damping, rhs)
    known = KnownProducts(0) if known is None else known
    system = LinearSystem(H, diagonal, rhs, known)
    # In double precision, where the squares of a small single-precision v don't vanish.
    norm = system.on_host(torch.linalg.vector_norm(rhs, dtype=torch.float64))[0]
    if norm == 0:
        outcome = Outcome(rhs, torch.zeros_like(rhs), SolveReport("zero_rhs", residuals=[0.0]))
    elif not math.isfinite(norm):
        # The answer stays non-finite, so that nobody takes it for a solution.
        outcome = Outcome(rhs / diagonal, None, SolveReport("non_finite"))
    else:
        solver = get_solver(method if iterations > 0 else "identity")
        # In place: another vector would stand beside it through all products.
        outcome = solver(LinearSystem(H, diagonal, rhs.div_(norm), known, norm), iterations, tolerance)
        residual = None if outcome.residual is None else norm * outcome.residual
        outcome = Outcome(norm * outcome.x, residual, outcome.report)
        rhs *= norm
    if iterations > 0 and method != "identity":
        outcome.report.damping = damping
    image = None if outcome.residual is None else rhs - outcome.residual
    return Solution(unflatten(diagonal * outcome.x, H.params), outcome.x, image, outcome.report)


def check_arguments(
    proximity: float | Sequence[float], damping: float, method: str, iterations: int, tolerance: float
) -> None:
    """Raise ValueError where `solve` could not work with these, whatever H and v are.

    The bounds are those of the mathematics, wider than those that a search space has for the settings.
    """
    if method not in SOLVERS:
        expected = ", ".join(map(repr, SOLVERS)) + nearest(method, SOLVERS)
        raise ValueError(f"unknown method {method!r}: expected one of {expected}")
    if not isinstance(iterations, int):
        raise ValueError(f"iterations is {iterations!r}: expected a whole number")
    if iterations < 0:
        raise ValueError(f"iterations is {iterations}: expected 0 (no solve) or more")
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance is {tolerance}: expected 0 (never) or more and less than 1")
    if not (math.isfinite(damping) and damping >= 0):
        raise ValueError(f"damping is {damping}: expected 0 or more")
    named = (
        {f"proximity[{position}]": weight for position, weight in enumerate(proximity)}
        if isinstance(proximity, Sequence)
        else {"proximity": proximity}
    )
    for name, weight in named.items():
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"{name} is {weight}: expected 0 or more")
        if weight + damping == 0:
            raise ValueError(f"{name} + damping is 0: M must be positive; raise the weight or the damping")


def diagonal_of(H: CurvatureOperator, proximity: float | Sequence[float], damping: float, rhs: Tensor) -> Tensor:
    """The diagonal of M: one number where proximity is one, else `[entries]`."""
    if not isinstance(proximity, Sequence):
        return rhs.new_full((), proximity + damping)
    if len(proximity) != len(H.params):
        raise ValueError(
            f"proximity has {len(proximity)} weights: expected one number, or {len(H.params)}, one per parameter tensor"
        )
    pairs = zip(H.params, proximity, strict=True)
    return torch.cat([rhs.new_full((parameter.numel(),), weight + damping) for parameter, weight in pairs])
