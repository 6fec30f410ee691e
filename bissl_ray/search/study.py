"""A sweep as a study of Optuna, rebuilt from its records: for its plots and importances, not to ask for a trial."""

import copy
import math
import random
from collections.abc import Container, Mapping, Sequence
from typing import Final, Self

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from bissl_ray.config.search_space import SearchSpace
from bissl_ray.metrics import Metric
from bissl_ray.search.records import Record
from bissl_ray.search.told import distribution, frozen
from bissl_ray.words import Status

NAME: Final = "trial"
"""The user attribute that holds a trial's name."""


class StoredStudy(optuna.Study):
    """A study of trials that have been. A part of it keeps their numbers, which Optuna would give anew."""

    def __init__(
        self,
        name: str,
        trials: Sequence[FrozenTrial],
        directions: Sequence[StudyDirection],
        storage: InMemoryStorage | None = None,
    ) -> None:
        """Set up.

        Args:
            name: what legends call it.
            trials: numbered.
            directions: of each value.
            storage: that knows a study of this name and these directions; None: a new one.
        """
        self._holds = storage or InMemoryStorage()
        if storage is None:
            optuna.create_study(study_name=name, storage=self._holds, directions=list(directions))
        super().__init__(name, self._holds)
        self._kept = list(trials)

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """As of any study."""
        found = [trial for trial in self._kept if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def of(self, trials: Sequence[FrozenTrial]) -> Self:
        """A study of some trials, under the same name."""
        return type(self)(self.study_name, trials, self.directions, self._holds)

    def sampled(self, most: int, best: int = 50) -> Self:
        """At most so many of its trials, in their order: the best, each that was the best so far, and a draw of others.

        Args:
            most: trials; a draw is the same for the same study.
            best: of them, how many are the best.
        """
        if len(self._kept) <= most:
            return self
        sign = -1.0 if self.directions[0] == StudyDirection.MAXIMIZE else 1.0
        values = {
            t.number: sign * t.values[0] for t in self._kept if t.state == TrialState.COMPLETE and t.values is not None
        }
        kept, least = set(sorted(values, key=values.__getitem__)[: min(best, most)]), math.inf
        for number in sorted(values):
            if values[number] < least:
                least = values[number]
                kept.add(number)
        others = [trial.number for trial in self._kept if trial.number not in kept]
        kept |= set(random.Random(len(self._kept)).sample(others, min(max(most - len(kept), 0), len(others))))
        return self.of([trial for trial in self._kept if trial.number in kept])


def stored_study(name: str, space: SearchSpace, records: Sequence[Record], metric: Metric) -> StoredStudy:
    """The explored trials of a sweep, each with its score in the unit of the metric: shares in per cent.

    Args:
        name: of the sweep.
        space: that it searched.
        records: its explore trials, in the order proposed, which numbers them; those still running are left out.
        metric: what the objective is.
    """
    searched = {name: distribution(parameter) for name, parameter in space.parameters.items()}
    trials = []
    for number, record in enumerate(records):
        if record.status != Status.RUNNING:
            told = frozen(record, searched, attributes={NAME: record.trial})
            told.intermediate_values = {step: _shown(metric, value) for step, value in told.intermediate_values.items()}
            trials.append(as_told(told, number, [_shown(metric, value) for value in told.values or ()]))
    return StoredStudy(name, trials, [direction_of(metric)])


def at_alternation(study: StoredStudy, alternation: int) -> StoredStudy:
    """The same trials with the score that each had after so many alternations, those that were stopped later included.

    Trials that ran to their end on other budgets than these are compared fairly so, and far more of them.
    """
    return study.of(
        [
            as_told(trial, trial.number, [trial.intermediate_values[alternation]], TrialState.COMPLETE)
            for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
            if alternation in trial.intermediate_values
        ]
    )


def against_seconds(study: StoredStudy, seconds: Mapping[str, float]) -> StoredStudy:
    """Those that ran to their end, with the seconds that each took as a second value, to be small.

    Args:
        study: with one value each.
        seconds: by the name of the trial.
    """
    found = [
        as_told(trial, trial.number, [trial.values[0], seconds[trial.user_attrs[NAME]]])
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if trial.values is not None and trial.user_attrs[NAME] in seconds
    ]
    return StoredStudy(study.study_name, found, [*study.directions, StudyDirection.MINIMIZE])


def direction_of(metric: Metric) -> StudyDirection:
    """Which way its scores are better."""
    return StudyDirection.MAXIMIZE if metric.larger_is_better else StudyDirection.MINIMIZE


def _shown(metric: Metric, objective: float) -> float:
    return metric.objective(objective) * (100.0 if metric.share else 1.0)


def as_told(trial: FrozenTrial, number: int, values: Sequence[float], state: TrialState | None = None) -> FrozenTrial:
    """A trial under a number, by which importances know it, with values of its own.

    Args:
        trial: as Optuna has it; left as it is.
        number: one that no other trial of the study has.
        values: none of one that has failed.
        state: None: its own.
    """
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=trial.state if state is None else state,
        value=None,
        values=list(values) or None,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
        system_attrs=trial.system_attrs,
        intermediate_values={} if len(values) > 1 else trial.intermediate_values,
    )
