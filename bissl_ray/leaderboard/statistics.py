"""Means over seeds with their confidence intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95% interval by Student's t.

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


def estimate(values: Sequence[float]) -> Estimate | None:
    """Estimate the mean of a sample; None for an empty one."""
    if not values:
        return None
    mean = fmean(values)
    if len(values) == 1:
        return Estimate(mean, None, None, 1)
    from scipy.special import stdtrit  # takes 0.2 s to import, and only confirmed trials need it

    quantile = float(stdtrit(len(values) - 1, 0.5 + CONFIDENCE / 2))
    half = quantile * stdev(values) / math.sqrt(len(values))
    return Estimate(mean, mean - half, mean + half, len(values))


def paired_gain(treated: Mapping[int, float], control: Mapping[int, float]) -> Estimate | None:
    """Estimate the mean difference treated - control over the seeds that both have; None if there are none.

    Args:
        treated: seed -> score.
        control: seed -> score.
    """
    return estimate([treated[seed] - control[seed] for seed in sorted(treated.keys() & control.keys())])
