"""Means over seeds with their confidence intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist, fmean
from typing import Final

CONFIDENCE: Final = 0.95
_MOST_VALUES: Final = 1000


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval by Student's t, at 95% unless it was asked for otherwise.

    Attributes:
        mean: of the values, in their unit.
        low: lower end of the interval; None for a single value.
        high: upper end of the interval; None for a single value.
        n: how many values.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval; None for a single value."""
        return None if self.high is None else self.high - self.mean


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate | None:
    """Estimate the mean of a sample; None for an empty one.

    Args:
        values: the sample.
        confidence: that the interval holds the mean, between 0 and 1.
    """
    if not values:
        return None
    mean = fmean(values)
    if len(values) == 1:
        return Estimate(mean, None, None, 1)
    # statistics.stdev is exact, by fractions, and takes a hundred times as long.
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    half = t_quantile(len(values) - 1, confidence) * math.sqrt(variance / len(values))
    return Estimate(mean, mean - half, mean + half, len(values))


def with_ends(name: str, value: Estimate | None) -> dict[str, float | None]:
    """A mean by name, and the ends of its interval by name_low and name_high; None where there are none."""
    found = (None, None, None) if value is None else (value.mean, value.low, value.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), found, strict=True))


def paired_gain(
    treated: Mapping[int, float], control: Mapping[int, float], confidence: float = CONFIDENCE
) -> Estimate | None:
    """Estimate the mean difference treated - control over the seeds that both have; None if there are none.

    Args:
        treated: seed -> score.
        control: seed -> score.
        confidence: as of `estimate`.
    """
    shared = sorted(treated.keys() & control.keys())
    return estimate([treated[seed] - control[seed] for seed in shared], confidence)


def values_to_separate(differences: Sequence[float], confidence: float = CONFIDENCE) -> int | None:
    """How many paired differences would tell their mean from zero, if mean and spread stay as they are.

    Args:
        differences: found so far, at least two.
        confidence: as of `estimate`.

    Returns:
        The number; None where no number up to a thousand would.
    """
    spread = estimate(differences, confidence)
    if spread is None or spread.half_width is None:
        return None
    n = len(differences)
    deviation = spread.half_width * math.sqrt(n) / t_quantile(n - 1, confidence)
    if spread.mean == 0:
        return None
    # As many as a normal distribution would ask for are too few, and but for a handful enough.
    number = max(2, math.ceil((NormalDist().inv_cdf((1 + confidence) / 2) * deviation / spread.mean) ** 2))
    while number <= _MOST_VALUES:
        if t_quantile(number - 1, confidence) * deviation < abs(spread.mean) * math.sqrt(number):
            return number
        number += 1
    return None


@cache
def t_quantile(degrees: int, confidence: float = CONFIDENCE) -> float:
    """Give the t that |T| stays below with this probability, for Student's T with so many degrees of freedom.

    Bisection on the finite series for whole degrees of freedom (Abramowitz & Stegun 26.7.3 and 26.7.4), in
    the angle θ = atan(t / √degrees). Importing scipy.special for it would take a third of the board's time.

    Args:
        degrees: at least 1.
        confidence: the probability.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):  # halves the interval down to rounding
        middle = (low + high) / 2
        if _probability_within(middle, degrees) < confidence:
            low = middle
        else:
            high = middle
    return math.sqrt(degrees) * math.tan(high)


def _probability_within(angle: float, degrees: int) -> float:
    """Sum P(|T| < √degrees tan θ), where each term is the one before it times cos²θ (k - 1) / k."""
    odd = degrees % 2 == 1
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(3 if odd else 2, degrees + 1, 2):
        total += term
        term *= math.cos(angle) ** 2 * (k - 1) / k
    series = math.sin(angle) * total
    return 2 / math.pi * (angle + series) if odd else series
