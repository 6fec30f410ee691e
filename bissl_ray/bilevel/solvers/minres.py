"""Minimal residuals: for a symmetric matrix whose curvature may be negative."""

import math

import torch
from torch import Tensor

from bissl_ray.bilevel.solvers.accuracy import ConvergenceCheck
from bissl_ray.bilevel.solvers.recycling import Direction, least_residual_start
from bissl_ray.bilevel.solvers.ritz import Lanczos
from bissl_ray.bilevel.solvers.system import LinearSystem, Outcome, SolveReport


def minimal_residual(system: LinearSystem, iterations: int, tolerance: float) -> Outcome:
    """Solve by MINRES (Paige and Saunders 1975; Saad 2003, section 6.5); one product an iteration.

    The iterate has the least residual over the Krylov space of v, whatever the signs of the eigenvalues. The Lanczos
    process gives the vectors V (see `Lanczos`). Paige and Saunders turn them into search directions by Givens
    rotations of the Lanczos matrix; here each image is made orthogonal to the ones before it, which is the same
    factorisation A V = Q R, but carries the residual as a vector that never grows. Two of them would do but for
    rounding; all are taken that `system.known` has room for. With images C of earlier solves
    in `system.known`, A gives way to (I − C Cᵀ) A, so that this solve doesn't search again where they did (recycling
    MINRES, Wang, de Sturler and Paulino 2007); its Ritz values lie among those of A.

    Nonpositive Ritz values are counted as negative curvature, and the solve goes on. Where the Krylov space is
    exhausted the true residual is measured: it is at rounding level unless M + H is singular.
    """
    start, known = least_residual_start(system)
    own: list[Direction] = []
    room = max(2, system.known.capacity)
    x, r, next_r = start.x, start.residual, torch.empty_like(start.residual)
    report = SolveReport("iterations", residuals=[start.norm])
    check, lanczos = ConvergenceCheck(system, tolerance), Lanczos(r / start.norm)
    rounding = system.close_enough(0.0)
    for iteration in range(iterations + 1):
        if report.residuals[-1] <= check.goal or lanczos.exhausted(rounding):
            _add_spectrum(lanczos, report)
            x, r, done = check.settle(x, r, report)
            if done:
                return Outcome(x, r, report)
            # The least residual over the directions so far: what rounding let slip there, without a product.
            for direction in (*known, *own):
                direction.step(x, r, direction.image.dot(r) / direction.size)
            report.residuals[-1] = system.norm(r)
            lanczos, own = Lanczos(r / report.residuals[-1], lanczos.scale), []
        if iteration == iterations:
            break
        vector, image = lanczos.vector.clone(), system.product(lanczos.vector)
        report.products += 1
        _orthogonalise(vector, image, known)
        row_on_device = lanczos.advance(image)
        _orthogonalise(vector, image, own)
        found = Direction(vector, image, image.dot(image))
        step = r.dot(image) / found.size
        torch.addcmul(r, step, image, value=-1, out=next_r)
        *row, square, next_squared = system.on_host(*row_on_device, found.size, next_r.dot(next_r))
        if not all(map(math.isfinite, (*row, square))):
            report.stopped_because = "non_finite"
            break
        lanczos.note(*row)
        # What is left of an image that lies among the others is mostly rounding noise, about ε ‖A‖.
        if math.sqrt(square) > 10 * rounding * lanczos.scale:
            x.addcmul_(step, vector)
            r, next_r = next_r, r
            system.known.add(vector, image)
            own = [*own[1 - room :], found]
            report.residuals.append(math.sqrt(next_squared))
        else:
            report.residuals.append(report.residuals[-1])
    _add_spectrum(lanczos, report)
    return Outcome(x, r, report) if report.stopped_because == "non_finite" else check.confirm(x, r, report)


def _orthogonalise(vector: Tensor, image: Tensor, directions: list[Direction]) -> None:
    """Combine a vector with directions so that its image is orthogonal to theirs; both are changed in place."""
    for other in directions:
        part = other.image.dot(image) / other.size
        vector.addcmul_(part, other.vector, value=-1)
        image.addcmul_(part, other.image, value=-1)


def _add_spectrum(lanczos: Lanczos, report: SolveReport) -> None:
    values = lanczos.values()
    report.add_ritz_values(values)
    report.negative_curvature = max(report.negative_curvature, sum(value <= 0 for value in values))
