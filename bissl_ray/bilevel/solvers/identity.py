"""No linear solve: H is left out, by choice or for want of anything better."""

from torch import Tensor

from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, SolveReport


def identity(system: LinearSystem, iterations: int, tolerance: float) -> Outcome:  # noqa: ARG001
    """x = M⁻¹ v, so that M x = v: the first-order baseline.

    No product is computed, hence the residual is unknown. Iterations and tolerance don't matter. T1 − T2 (Luketina et
    al. 2016) is a rate times M v: `unrolled`, with one iteration.
    """
    return Outcome(system.rhs / system.diagonal, residual=None, report=SolveReport("iterations"))


def first_order(system: LinearSystem, image: Tensor | None, report: SolveReport) -> Outcome:
    """M⁻¹ v, its true residual added to the report.

    What a solver answers that meets negative curvature before it has anything better. Truncated Newton methods likewise
    fall back to the gradient (Nocedal and Wright 2006, algorithm 7.1). The residual costs no product where M is a
    multiple of the identity and the image is known.

    Args:
        system: the system.
        image: (M + H) v; None where it is not known.
        report: of the solve so far.
    """
    x = system.rhs / system.diagonal
    if image is not None and system.diagonal.dim() == 0:
        residual = system.rhs - image / system.diagonal
    else:
        residual = system.rhs - system.product(x)
        report.products += 1
    report.residuals.append(system.norm(residual))
    return Outcome(x, residual, report)
