"""What happened in one alternation: its steps, and its solves in sum."""

from collections.abc import Sequence
from dataclasses import dataclass

from bissl_ray.bilevel.solvers.system import SolveReport, StopReason

_MILD_TO_SEVERE: tuple[StopReason, ...] = (
    "tolerance",
    "iterations",
    "zero_rhs",
    "stagnated",
    "negative_curvature",
    "non_finite",
)


@dataclass(frozen=True)
class SolvesSummary:
    """What the linear solves of one alternation had in common.

    Attributes:
        hvps: Hessian-vector products, a sum.
        cg_residual: relative residual, a mean; None where none was measured (identity).
        cg_residual_max: the largest of them.
        ritz_min: smallest Ritz value of M + H over the solves; None where there is none.
        ritz_max: largest likewise.
        damping_used: what M had in it beside λ; None where nothing was solved.
        negative_curvature: directions of negative curvature met, a sum.
        stopped_because: the most severe reason why a solve stopped.
    """

    hvps: int
    cg_residual: float | None
    cg_residual_max: float | None
    ritz_min: float | None
    ritz_max: float | None
    damping_used: float | None
    negative_curvature: int
    stopped_because: StopReason


@dataclass(frozen=True)
class AlternationReport(SolvesSummary):
    """Numbers of one alternation: means over its steps unless said otherwise, the same on all workers.

    Attributes:
        alternation: its number, from 1.
        lower_loss: pretext loss L_P, without the proximity term.
        upper_loss: downstream loss L_D(θ*, φ_D) at the lower solution.
        direct_loss: downstream loss L_D(θ_D, φ_D), not weighted by γ.
        hypergradient_cosine: between the implicit part and v, which the first-order baseline takes for it; None
            where it is not defined in any step, as with the next two.
        implicit_ratio: ‖implicit part‖ / ‖direct part‖ of the gradient of θ_D; None where γ = 0.
        implicit_change: ‖solved − first-order‖ / ‖first-order‖ of that gradient, both with the direct part: 0 says
            that H might as well have been left out.
        upper_backbone_share: ‖gradient of θ_D‖² / ‖gradient of θ_D and φ_D‖², before clipping: what of the upper steps
            the backbone gets, the rest being the head's; None where there is no gradient.
        distance: ‖θ − θ_D‖ at the end.
        lower_grad_norm: gradient norm of the lower objective before clipping, proximity term included.
        upper_grad_norm: gradient norm of the upper objective before clipping.
        lower_lr: learning rate of the last lower step.
        upper_lr: learning rate of the last upper step.
    """

    alternation: int
    lower_loss: float
    upper_loss: float
    direct_loss: float
    hypergradient_cosine: float | None
    implicit_ratio: float | None
    implicit_change: float | None
    upper_backbone_share: float | None
    distance: float
    lower_grad_norm: float
    upper_grad_norm: float
    lower_lr: float
    upper_lr: float


def summarise(reports: Sequence[SolveReport]) -> SolvesSummary:
    """Sum up the reports of one alternation's solves, at least one."""
    residuals = [report.residual for report in reports if report.residual is not None]
    curvatures = [report.curvature for report in reports if report.curvature is not None]
    return SolvesSummary(
        hvps=sum(report.products for report in reports),
        cg_residual=sum(residuals) / len(residuals) if residuals else None,
        cg_residual_max=max(residuals, default=None),
        ritz_min=min((smallest for smallest, _ in curvatures), default=None),
        ritz_max=max((largest for _, largest in curvatures), default=None),
        damping_used=max((report.damping for report in reports if report.damping is not None), default=None),
        negative_curvature=sum(report.negative_curvature for report in reports),
        stopped_because=max((report.stopped_because for report in reports), key=_MILD_TO_SEVERE.index),
    )
