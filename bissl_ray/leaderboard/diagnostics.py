"""How a trial went: its score as a curve drawn with characters, and its diagnostics from first report to last."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from bissl_ray.leaderboard.configurations import finite
from bissl_ray.leaderboard.numbers import setting
from bissl_ray.metrics import Metric, of_objective
from bissl_ray.store.schema import Row

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_HEIGHT: Final = 6  # lines, of eight steps each
_MARGIN: Final = 8  # characters for the scale on the left

_DIAGNOSTICS: Final = (
    ("relative residual, mean", "cg_residual"),
    ("relative residual, largest", "cg_residual_max"),
    ("Hessian-vector products", "hvps"),
    ("smallest Ritz value", "ritz_min"),
    ("largest Ritz value", "ritz_max"),
    ("damping used", "damping_used"),
    ("directions of negative curvature", "negative_curvature"),
    ("cosine of solution and identity", "hypergradient_cosine"),
    ("change of the gradient by solving", "implicit_change"),
    ("implicit part over direct part", "implicit_ratio"),
    ("backbone's share of the upper gradient", "upper_backbone_share"),
    ("distance of the backbones", "distance"),
    ("spread of the embeddings (0 to 1)", "embedding_std"),
    ("effective rank of the embeddings", "embedding_rank"),
    ("lower loss", "lower_loss"),
    ("upper loss", "upper_loss"),
    ("training loss", "train_loss"),
    ("backbone moved, share of its length", "moved"),
)
_STOPPED: Final = {
    "tolerance": "its tolerance was reached",
    "iterations": "all its iterations were used",
    "stagnated": "more iterations did not help",
    "negative_curvature": "it met negative curvature",
    "zero_rhs": "there was nothing to solve for",
    "non_finite": "numbers were not finite",
}


def score_curve(reports: Sequence[Row], progress: str, width: int) -> str:
    """Draw scores over progress, as bars that stand on the smallest one; nothing where no report has a score.

    Args:
        reports: of one stage, in order.
        progress: what is counted, a column of theirs: alternation or epoch.
        width: characters at most. If there are more scores, each bar is the mean of its share.
    """
    scores = [(row[progress], score) for row in reports if (score := finite(row["objective"])) is not None]
    if not scores:
        return ""
    lines = chart([score for _, score in scores], width, of_objective(reports[-1]["objective_name"]))
    first, last = str(scores[0][0]), str(scores[-1][0])
    axis = f"{progress} {first}" if first == last else f"{progress} {first} to {last}"
    return "\n".join([*lines, " " * _MARGIN + axis])


def chart(values: Sequence[float], width: int, metric: Metric, height: int = _HEIGHT) -> list[str]:
    """Draw values as bars that stand on the smallest one, with a scale on the left.

    Args:
        values: in order, at least one.
        width: characters at most; of more values, each bar is the mean of its share.
        metric: that they are of.
        height: in lines.
    """
    shown = _averaged(values, max(width - _MARGIN, 1))
    low, high = min(shown), max(shown)
    span = high - low
    steps = [1 + round((height * 8 - 1) * ((value - low) / span if span > 0 else 0.5)) for value in shown]
    lines = []
    for level in reversed(range(height)):
        label = {0: metric.score(low), height - 1: metric.score(high)}.get(level, "")
        drawn = "".join(_EIGHTHS[min(max(step - 8 * level, 0), 8)] for step in steps)
        lines.append(f"{label:>{_MARGIN - 2}}  {drawn}".rstrip())
    return lines


def bars(values: Sequence[float], width: int) -> str:
    """Draw a curve in one line, from the smallest value to the largest; nothing for fewer than two values.

    Args:
        values: in order.
        width: characters at most, 1 or more; of more values, each bar is the mean of its share.
    """
    if len(values) < 2:
        return ""
    shown = _averaged(values, width)
    low, span = min(shown), max(shown) - min(shown)
    return "".join(_EIGHTHS[1 + round(7 * ((value - low) / span if span > 0 else 0.5))] for value in shown)


def diagnostics(reports: Sequence[Row]) -> list[tuple[str, str]]:
    """What was measured in the first report of a stage and in the last, with labels; empty text where nothing was.

    Args:
        reports: of one stage, in order; at least one.
    """
    pairs = [(label, _first_to_last(reports, column)) for label, column in _DIAGNOSTICS]
    return [*pairs, ("the solver stopped because", _STOPPED.get(reports[-1]["stopped_because"], ""))]


def _averaged(values: Sequence[float], most: int) -> list[float]:
    """Average neighbouring values so that at most so many remain."""
    if len(values) <= most:
        return list(values)
    edges = [len(values) * place // most for place in range(most + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]


def _first_to_last(reports: Sequence[Row], column: str) -> str:
    values = [row[column] for row in reports if row[column] is not None]
    if not values:
        return ""
    first, last = setting(values[0]), setting(values[-1])
    return last if first == last else f"{first} to {last}"
