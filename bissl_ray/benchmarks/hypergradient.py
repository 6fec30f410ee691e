"""Hypergradients: what the linear solves of one alternation cost, and how well they solve."""

import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from bissl_ray.benchmarks.device import device_name, now
from bissl_ray.benchmarks.memory import peak_bytes
from bissl_ray.benchmarks.problem import Problem, Question, build_problem
from bissl_ray.benchmarks.ways import ITERATIONS, RECYCLED, Way, ways
from bissl_ray.bilevel import CurvatureOperator, KnownProducts, Solution, solve
from bissl_ray.bilevel.curvature.vectors import flatten
from bissl_ray.training.precision import exact_arithmetic
from bissl_ray.training.worker import Worker

_CONDITION = 2.5
_LANCZOS_STEPS = 12
_LOOSEST = 0.1


@dataclass(frozen=True)
class Row:
    """What one way did; times are the chief's, medians over repeats.

    Attributes:
        way: in words.
        product_ms: milliseconds per product, the solver's vector arithmetic included; None without products.
        products: products of the alternation.
        total_ms: milliseconds of all graphs, products and solves of the alternation, without the upper gradients
            themselves.
        ratio: the first row's `total_ms` over this one's.
        residual: ‖v − (M + H) x‖ / ‖v‖ with H of the whole lower batch, measured afterwards: mean over the solves.
        error: ‖M x − M x*‖ / ‖M x*‖ with x* of the second row, CG: mean over the solves.
        peak_bytes: most bytes of tensors alive at once, beside model and data.
    """

    way: str
    product_ms: float | None
    products: int
    total_ms: float
    ratio: float
    residual: float
    error: float
    peak_bytes: int


@dataclass(frozen=True)
class Measurement:
    """All rows, and what they were measured on.

    Attributes:
        question: the problem as asked for.
        device: in words.
        workers: processes.
        parameters: entries of θ.
        damping: of M.
        curvature: smallest and largest Ritz value of H.
        tolerance: relative residual at which rows stop that stop early.
        cosines: between right-hand sides that follow each other.
        upper_gradients_ms: what the upper steps take beside the solves, in every row alike.
        rows: the first is what the others are compared with.
    """

    question: Question
    device: str
    workers: int
    parameters: int
    damping: float
    curvature: tuple[float, float]
    tolerance: float
    cosines: list[float]
    upper_gradients_ms: float
    rows: list[Row]


def measure_hypergradient(
    worker: Worker, question: Question, damping: float | None, tolerance: float | None, repeats: int
) -> Measurement:
    """Build the problem, then solve its linear systems in every way (collective).

    Args:
        worker: this process among the workers.
        question: the problem.
        damping: of M; None: such that M + H has condition number 2.5, as far as Ritz values tell.
        tolerance: relative residual at which rows stop that stop early; None: the true one of the first row.
        repeats: times that a way is run; times are medians.
    """
    _say(worker, "pretraining" if question.pretrained is None else f"reading {question.pretrained}")
    problem = build_problem(question, worker)
    _say(worker, "the spectrum of H")
    with exact_arithmetic(), problem.hessian() as H:
        lowest, highest = _spectrum(H, problem)
        damping = (highest - _CONDITION * lowest) / (_CONDITION - 1) if damping is None else damping
        rows: list[Row] = []
        first: list[Tensor] = []
        reference: list[Tensor] = []
        for way in ways(problem, torchs_layers=worker.world_size == 1):
            _say(worker, way.name.strip())
            row, found = _measure(way, problem, H, damping, tolerance or 0.0, repeats)
            # Where the first row solves nothing, its residual is no goal for the others.
            tolerance = min(row.residual, _LOOSEST) if tolerance is None else tolerance
            rows.append(replace(row, ratio=(rows[0].total_ms if rows else row.total_ms) / row.total_ms))
            # Of the answers, only the second row's are kept: they are as large as the model, one per step.
            if len(rows) == 1:
                first = found
            elif len(rows) == 2:
                reference = found
                rows[0] = replace(rows[0], error=_distance(first, reference))
                first = []
            else:
                rows[-1] = replace(rows[-1], error=_distance(found, reference))
    entries = [flatten(slope) for slope in problem.slopes]
    return Measurement(
        question,
        device_name(worker.device),
        worker.world_size,
        entries[0].numel(),
        damping,
        (lowest, highest),
        tolerance or 0.0,
        [float(torch.cosine_similarity(one, other, dim=0)) for one, other in pairwise(entries)],
        problem.upper_gradients_ms,
        rows,
    )


def _distance(answers: list[Tensor], others: list[Tensor]) -> float:
    pairs = zip(answers, others, strict=True)
    return statistics.fmean(float((one - other).norm() / other.norm()) for one, other in pairs)


def _say(worker: Worker, what: str) -> None:
    """Tell a person what is going on, beside the results: it takes minutes."""
    if worker.is_chief:
        sys.stderr.write(f"... {what}\n")
        sys.stderr.flush()


def _spectrum(H: CurvatureOperator, problem: Problem) -> tuple[float, float]:
    """Smallest and largest Ritz value of H, from MINRES on M = 1."""
    report = solve(H, problem.slopes[0], 0.0, 1.0, "minres", _LANCZOS_STEPS).report
    assert report.curvature is not None
    return report.curvature[0] - 1.0, report.curvature[1] - 1.0


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


def _measure(
    way: Way, problem: Problem, H: CurvatureOperator, damping: float, tolerance: float, repeats: int
) -> tuple[Row, list[Tensor]]:
    totals, builds = [], []
    for _ in range(repeats):
        begin = now(problem.device)
        with way.curvature() as operator:
            built = now(problem.device)
            solutions = _solutions(way, operator, problem.slopes, damping, tolerance, ITERATIONS)
            totals.append(now(problem.device) - begin)
            builds.append(built - begin)
    total, build = statistics.median(totals), statistics.median(builds)
    products = sum(solution.report.products for solution in solutions)
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
        products,
        1e3 * total,
        1.0,
        statistics.fmean(residuals),
        0.0,
        _peak(way, problem, damping, tolerance),
    )
    return row, [flatten(solution.x) for solution in solutions]


def _peak(way: Way, problem: Problem, damping: float, tolerance: float) -> int:
    """Most bytes alive at once; what keeps nothing has seen its most after one solve."""
    slopes = problem.slopes if way.recycles else problem.slopes[:1]
    iterations = ITERATIONS if way.recycles else 1

    def solve() -> None:
        with way.curvature() as operator:
            # No solution is kept, as none is in training.
            for _ in _one_by_one(way, operator, slopes, damping, tolerance, iterations):
                pass

    return peak_bytes(problem.device, solve)
