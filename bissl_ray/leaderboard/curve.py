"""A curve drawn with characters."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from bissl_ray.leaderboard.numbers import percent

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_HEIGHT: Final = 6  # lines, of eight steps each
_MARGIN: Final = 8  # characters for the scale on the left


def curve(points: Sequence[tuple[int, float]], progress: str, width: int) -> str:
    """Draw scores over progress, as bars that stand on the smallest one.

    Args:
        points: (alternation or epoch, score as a fraction), in order; at least one.
        progress: what is counted, for the label below.
        width: characters at most. If there are more points, each bar is the mean of its share.
    """
    values = _shares([score for _, score in points], max(width - _MARGIN, 1))
    low, high = min(values), max(values)
    span = high - low
    steps = [1 + round((_HEIGHT * 8 - 1) * ((value - low) / span if span > 0 else 0.5)) for value in values]
    lines = []
    for level in reversed(range(_HEIGHT)):
        label = {_HEIGHT - 1: f"{percent(high)}%", 0: f"{percent(low)}%"}.get(level, "")
        bars = "".join(_EIGHTHS[min(max(step - 8 * level, 0), 8)] for step in steps)
        lines.append(f"{label:>{_MARGIN - 2}}  {bars}".rstrip())
    first, last = str(points[0][0]), str(points[-1][0])
    axis = f"{progress} {first}" if first == last else f"{progress} {first} to {last}"
    return "\n".join([*lines, " " * _MARGIN + axis])


def _shares(values: Sequence[float], most: int) -> list[float]:
    """Average neighbouring values so that at most so many remain."""
    if len(values) <= most:
        return list(values)
    edges = [len(values) * place // most for place in range(most + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
