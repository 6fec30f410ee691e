"""Hypergradients: what the linear solves of one alternation cost, and how well they solve."""

import statistics
import sys
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from bissl_ray.benchmarks.device import device_name
from bissl_ray.benchmarks.problem import Problem, Question, build_problem
from bissl_ray.benchmarks.solving import Row, measure_row
from bissl_ray.benchmarks.ways import ways
from bissl_ray.bilevel import CurvatureOperator, solve
from bissl_ray.bilevel.curvature.vectors import flatten
from bissl_ray.training.precision import exact_arithmetic
from bissl_ray.training.worker import Worker

_CONDITION = 2.5
_LANCZOS_STEPS = 12
_LOOSEST = 0.1


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
    worker: Worker, question: Question, damping: float | None, tolerance: float | None, repeats: int, compiled: bool
) -> Measurement:
    """Build the problem, then solve its linear systems in every way (collective).

    Args:
        worker: this process among the workers.
        question: the problem.
        damping: of M; None: such that M + H has condition number 2.5, as far as Ritz values tell.
        tolerance: relative residual at which rows stop that stop early; None: the true one of the first row.
        repeats: times that a way is run; times are medians.
        compiled: with a row for compiled batch norm.
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
        for way in ways(problem, worker.world_size == 1, compiled):
            _say(worker, way.name.strip())
            row, found = measure_row(way, problem, H, damping, tolerance or 0.0, repeats)
            # Where the first row solves nothing, its residual is no goal for the others.
            tolerance = min(row.residual, _LOOSEST) if tolerance is None else tolerance
            rows.append(replace(row, ratio=(rows[0].total_ms if rows else row.total_ms) / row.total_ms))
            # Of the answers, only the second row's are kept: they are as large as the model, one per step.
            if len(rows) == 1:
                first = found
            elif len(rows) == 2:
                reference = found
                rows[0] = _compared(rows[0], first, reference)
                first = []
            else:
                rows[-1] = _compared(rows[-1], found, reference)
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


def _compared(row: Row, answers: list[Tensor], others: list[Tensor]) -> Row:
    """The row with its distance and its angle from the second row's answers."""
    pairs = list(zip(answers, others, strict=True))
    error = statistics.fmean(float((one - other).norm() / other.norm()) for one, other in pairs)
    cosine = statistics.fmean(float(torch.cosine_similarity(one, other, dim=0)) for one, other in pairs)
    return replace(row, error=error, cosine=cosine)


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
