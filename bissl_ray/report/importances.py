"""How much each setting mattered, and how sure that is: PED-ANOVA over bootstrap resamples and shuffled scores."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from bissl_ray.search.study import StoredStudy, as_told

FEWEST: Final = 20
"""Trials with a score below which nothing is said: of the best quarter there would be fewer than five."""
_GOOD_AT_LEAST: Final = 5
"""The best, which PED-ANOVA holds against the others, are as many or more, as its authors advise."""
_SHARE: Final = 0.1
RESAMPLES: Final = 60
SHUFFLES: Final = 40
_MOST: Final = 1000
"""Trials that are looked at."""


@dataclass(frozen=True)
class Importance:
    """Of one setting; all of a study sum to 1.

    Attributes:
        name: of the setting.
        share: over all trials.
        low: 5% of the resamples are below it.
        high: 5% are above it.
        by_chance: 95% of the importances with shuffled scores are below it.
    """

    name: str
    share: float
    low: float
    high: float
    by_chance: float


def good_share(trials: int) -> float:
    """Which share of so many trials is the best that the importance is of."""
    return max(_SHARE, _GOOD_AT_LEAST / trials)


def looked_at(study: StoredStudy) -> StoredStudy:
    """The trials with a score, of very many a sample."""
    return study.of(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))).sampled(_MOST, best=0)


def judge(trials: int) -> PedAnovaImportanceEvaluator:
    """What tells the importances, of so many trials."""
    return PedAnovaImportanceEvaluator(target_quantile=good_share(trials))


def importances(study: StoredStudy) -> list[Importance]:
    """The importance of each setting for being among the best, the largest first.

    Args:
        study: of `FEWEST` trials with a score or more.

    Returns:
        With intervals: the central 90% over resamples of the trials, drawn with replacement. They say what other
        trials of the same search might have given; not what other seeds of the same trials might.
    """
    trials = looked_at(study).get_trials(deepcopy=False)
    draws = random.Random(len(trials))
    found = _of(study, trials)
    again, shuffled = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for draw, times, into in ((_resampled, RESAMPLES, again), (_shuffled, SHUFFLES, shuffled)):
        for _ in range(times):
            for name, share in _of(study, draw(trials, draws)).items():
                into[name].append(share)
    return sorted(
        (
            Importance(
                name,
                share,
                _quantile(again[name], 0.05),
                _quantile(again[name], 0.95),
                _quantile(shuffled[name], 0.95),
            )
            for name, share in found.items()
        ),
        key=lambda each: -each.share,
    )


def _of(study: StoredStudy, trials: Sequence[FrozenTrial]) -> dict[str, float]:
    return get_param_importances(study.of(trials), evaluator=judge(len(trials)))


def _resampled(trials: Sequence[FrozenTrial], draws: random.Random) -> list[FrozenTrial]:
    drawn = draws.choices(trials, k=len(trials))
    return [as_told(trial, number, trial.values) for number, trial in enumerate(drawn)]


def _shuffled(trials: Sequence[FrozenTrial], draws: random.Random) -> list[FrozenTrial]:
    values = draws.sample([trial.values for trial in trials], k=len(trials))
    return [as_told(trial, trial.number, value) for trial, value in zip(trials, values, strict=True)]


def _quantile(values: list[float], share: float) -> float:
    """By the nearest of the values; 0 where a setting was in no resample."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
