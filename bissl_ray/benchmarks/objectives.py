"""What an explore objective is worth: how it ranks configurations, against their mean after fine-tuning (issue 17)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

import numpy as np

from bissl_ray.store.schema import Row
from bissl_ray.words import ALIGNING, Phase, Step

LEAST: Final = 8
"""Confirmed configurations."""
_LAST: Final = 3
_RESAMPLES: Final = 1000

_Reports = Mapping[int, Row]
JUDGES: Final[Mapping[str, Callable[[_Reports, int], float | None]]] = {
    "the objective": lambda reports, at: reports[at]["objective"],
    f"its mean over the last {_LAST}": lambda reports, at: _mean(
        [reports[a]["objective"] for a in range(max(1, at - _LAST + 1), at + 1) if a in reports]
    ),
    "upper loss": lambda reports, at: _negated(reports[at]["upper_loss"]),
    "neighbours of θ": lambda reports, at: reports[at]["lower_knn"],
    "linear probe of θ": lambda reports, at: reports[at]["lower_probe"],
}
"""What may be gone by, of a trial's reports up to an alternation; larger is better."""


@dataclass(frozen=True)
class Worth:
    """How well something ranks.

    Attributes:
        judge: what is gone by.
        alternation: after which.
        rho: Spearman's rank correlation with the mean over seeds after fine-tuning.
        low: lower end of its 95% interval, by resampling configurations.
        high: upper end.
        configurations: how many.
    """

    judge: str
    alternation: int
    rho: float
    low: float
    high: float
    configurations: int


def worths(trials: Sequence[Row], reports: Sequence[Row]) -> list[Worth]:
    """Judge every objective at a quarter, half and all of the alternations.

    Args:
        trials: rows of a sweep.
        reports: its reports.

    Returns:
        Those that were reported of enough confirmed configurations; none where there are too few of these.
    """
    scores: dict[str, list[float]] = {}
    for row in trials:
        if (row["phase"], row["step"]) == (Phase.CONFIRM, Step.SEEDS) and row["objective"] is not None:
            scores.setdefault(row["parent"], []).append(row["objective"])
    of: dict[str, dict[int, Row]] = {name: {} for name in scores}
    for report in reports:
        if report["trial"] in of and report["stage"] in ALIGNING:
            of[report["trial"]][report["alternation"]] = report
    names = [name for name in scores if of[name]]
    last = max((max(of[name]) for name in names), default=0)
    found = []
    for judge, value in JUDGES.items():
        for at in sorted({max(1, last // 4), max(1, last // 2), last}) if last else ():
            pairs = [
                (judged, fmean(scores[name]))
                for name in names
                if at in of[name] and (judged := value(of[name], at)) is not None
            ]
            if len(pairs) >= LEAST:
                found.append(Worth(judge, at, *_spearman(pairs), len(pairs)))
    return found


def _spearman(pairs: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    both = np.array(pairs)
    drawn = np.random.default_rng(0)
    again = [_rho(both[drawn.integers(len(both), size=len(both))]) for _ in range(_RESAMPLES)]
    low, high = np.nanpercentile(again, [2.5, 97.5])
    return _rho(both), float(low), float(high)


def _rho(pairs: Any) -> float:
    ranks = [_ranks(pairs[:, i]) for i in (0, 1)]
    if min(np.ptp(each) for each in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: Any) -> Any:
    """Ranks, those that are level sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _negated(value: float | None) -> float | None:
    return None if value is None else -value
