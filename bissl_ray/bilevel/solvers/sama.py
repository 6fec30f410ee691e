"""No linear solve, but the lower optimizer's own scaling in place of the inverse."""

import torch

from bissl_ray.bilevel.curvature.vectors import flatten, unflatten
from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, SolveReport


def sama(system: LinearSystem, iterations: int, tolerance: float) -> Outcome:  # noqa: ARG001
    """x = c D v, D the lower optimizer's ∂u/∂g (SAMA: Choe, Mehta, Ahn, Neiswanger, Xie, Strubell and Xing 2023).

    SAMA takes the identity for the inverse, and corrects v for an optimizer whose step u is not its gradient g. The
    cross derivative that its central difference is for is −Λ exactly here: nothing is left to take a difference of.
    D is the trust ratio of each parameter tensor in the last lower step (`CurvatureOperator.adaptation`), 1 where it is
    not adapted, and for SGD. c makes M x as long as v, as the identity's is: the ratios' common size, which is the
    trust coefficient's, says nothing.

    No product is computed, hence the residual is unknown. Iterations and tolerance don't matter.
    """
    x = system.rhs.clone()
    adaptation = system.curvature.adaptation
    if adaptation is not None:
        parts = unflatten(x, system.curvature.params)
        x = flatten([ratio * part for ratio, part in zip(adaptation, parts, strict=True)])
    return Outcome(x.div_(torch.linalg.vector_norm(system.diagonal * x)), None, SolveReport("iterations"))
