"""One way of solving an alternation's linear systems: what it costs, and how well it solves."""

import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from bissl_ray.benchmarks.launches import launches_of
from bissl_ray.benchmarks.memory import peak_bytes
from bissl_ray.benchmarks.problem import Problem
from bissl_ray.benchmarks.ways import RECYCLED, Way
from bissl_ray.bilevel import CurvatureOperator, KnownProducts, Solution, solve
from bissl_ray.bilevel.curvature.vectors import flatten
from bissl_ray.fused import compiled_passes
from bissl_ray.training.clock import now


@dataclass(frozen=True)
class Row:
    """What one way did; times are the chief's, medians over repeats.

    Attributes:
        way: in words.
        product_ms: milliseconds per product, the solver's vector arithmetic included; None without products.
        kernels: that a product launches, on the CPU torch's operations that touch values; None without products.
        products: products of the alternation.
        total_ms: milliseconds of all graphs, products and solves of the alternation, without the upper gradients
            themselves.
        ratio: the first row's `total_ms` over this one's.
        residual: ‖v − (M + H) x‖ / ‖v‖ with H of the whole lower batch, measured afterwards: mean over the solves.
        error: ‖M x − M x*‖ / ‖M x*‖ with x* of the second row, CG: mean over the solves.
        peak_bytes: most bytes of tensors alive at once, beside model and data.
        gradients: what products and graph of the alternation cost, in gradients of the loss, as the way states.
        cosine: of M x and M x*: mean over the solves.
    """

    way: str
    product_ms: float | None
    kernels: int | None
    products: int
    total_ms: float
    ratio: float
    residual: float
    error: float
    peak_bytes: int
    gradients: float
    cosine: float


def _solutions(
    way: Way, H: CurvatureOperator, slopes: list[tuple[Tensor, ...]], damping: float, tolerance: float, iterations: int
) -> list[Solution]:
    return list(_one_by_one(way, H, slopes, damping, tolerance, iterations))


def _one_by_one(
    way: Way, H: CurvatureOperator, slopes: list[tuple[Tensor, ...]], damping: float, tolerance: float, iterations: int
) -> Iterator[Solution]:
    stop = tolerance if way.stops else 0.0
    known = KnownProducts.between_solves(RECYCLED if way.recycles else 0, way.method, stop)
    for v in slopes:
        yield solve(H, v, 0.0, damping, way.method, iterations, stop, known)


def measure_row(
    way: Way, problem: Problem, H: CurvatureOperator, damping: float, tolerance: float, repeats: int
) -> tuple[Row, list[Tensor]]:
    """Solve in one way (collective).

    Args:
        way: in which.
        problem: the linear systems.
        H: of the whole batch, for the true residuals.
        damping: of M.
        tolerance: relative residual at which ways stop that stop early.
        repeats: times that it is run; times are medians.

    Returns:
        The row, its `ratio`, `error` and `cosine` still to be found; and the solutions M x, `[entries]` each.
    """
    totals, builds = [], []
    with compiled_passes(_say if way.compiles else None):
        if way.compiles:
            with way.curvature() as operator:  # what is compiled once is not timed
                operator.flat_matvec(flatten(problem.slopes[0]))
        for _ in range(repeats):
            begin = now(problem.device)
            with way.curvature() as operator:
                built = now(problem.device)
                solutions = _solutions(way, operator, problem.slopes, damping, tolerance, way.iterations)
                totals.append(now(problem.device) - begin)
                builds.append(built - begin)
                products = sum(solution.report.products for solution in solutions)
                kernels = _kernels(operator, problem) if products else None
    total, build = statistics.median(totals), statistics.median(builds)
    each = (total - build) / products if products else None
    if way.method == "layerwise_cg" and each is not None:
        # Of each solve, one product only measures the residual; the authors don't.
        products, total = products - len(solutions), total - len(solutions) * each
    residuals = []
    for v, solution in zip(problem.slopes, solutions, strict=True):
        rhs = flatten(v)
        image = H.flat_matvec(solution.inverse) + damping * solution.inverse
        residuals.append(float((rhs - image).norm() / rhs.norm()))
    row = Row(
        way.name,
        None if each is None else 1e3 * each,
        kernels,
        products,
        1e3 * total,
        1.0,
        statistics.fmean(residuals),
        0.0,
        _peak(way, problem, damping, tolerance),
        way.per_graph + products * way.per_product,
        1.0,
    )
    return row, [flatten(solution.x) for solution in solutions]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _kernels(operator: CurvatureOperator, problem: Problem) -> int:
    direction = flatten(problem.slopes[0])
    return launches_of(lambda: operator.flat_matvec(direction), problem.device)


def _peak(way: Way, problem: Problem, damping: float, tolerance: float) -> int:
    """Most bytes alive at once; what keeps nothing has seen its most after one solve."""
    slopes = problem.slopes if way.recycles else problem.slopes[:1]
    iterations = way.iterations if way.recycles else 1

    def solve() -> None:
        with way.curvature() as operator:
            # No solution is kept, as none is in training.
            for _ in _one_by_one(way, operator, slopes, damping, tolerance, iterations):
                pass

    return peak_bytes(problem.device, solve)
