"""Optuna, told the truth: COMPLETE, PRUNED with intermediate values, FAIL (docs/architecture.md, "Search")."""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from bissl_ray.config.parameters import (
    Point,
    SettingValue,
)
from bissl_ray.config.protocol import Protocol
from bissl_ray.config.requests import WarmSource
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.config.settings import unread
from bissl_ray.search.records import Record
from bissl_ray.search.remembered import is_full, remembered
from bissl_ray.search.told import contains, frozen, read_settings, state_of, values_of
from bissl_ray.search.told import distribution as distribution_of
from bissl_ray.search.warm import WarmStart
from bissl_ray.words import Origin, Phase, Status, Step

_OVERRIDES = "overrides"
_AGAIN: Final = 20
"""Trials per trial that has come further since it paused, from which on all are told again."""


class Proposals:
    """Proposes explore points, known-good ones first, and learns from every outcome."""

    def __init__(self, space: SearchSpace, history: Iterable[Record] = (), warm: Sequence[WarmSource] = ()):
        """Build the study, replaying what has run.

        Args:
            space: parameters, known-good points and the protocol's sampler.
            history: explore records, in the order proposed; those still running are asked again.
            warm: earlier sweeps to start from.
        """
        self._space = space
        self._distributions = {name: distribution_of(p) for name, p in space.parameters.items()}
        self._trades_off = space.protocol.trade_off is not None
        self._warm = WarmStart(warm, space.protocol, self._distributions) if warm and self._distributions else None
        self._history = {record.trial: record for record in history}
        self._sampler = _sampler(space.protocol, len(self._history))
        self._told_again = self._known = 0
        self._asked: dict[str, optuna.Trial] = {}
        self._reported: dict[str, set[int]] = {}
        self._study = self._replayed()

    def _replayed(self) -> optuna.Study:
        """A study that has seen what has run, of a long search a part, and has been asked for what runs."""
        directions = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE][: 1 + self._trades_off]
        study = optuna.create_study(directions=directions, sampler=self._sampler)
        told = remembered(self._history.values(), self._space.protocol)
        running = [record for record in told if record.status == Status.RUNNING]
        for record in told:
            if record.status != Status.RUNNING:
                study.add_trial(frozen(record, self._distributions, self._trades_off))
        for record in running:
            study.enqueue_trial(self._searched(record.point))
            self._asked[record.trial] = study.ask(self._distributions)
            self._reported.pop(record.trial, None)
            for alternation, objective in sorted(record.curve.items()):
                self._report(record.trial, alternation, objective)
        if self._distributions:
            known = sum(record.origin == Origin.KNOWN_GOOD for record in self._history.values())
            for point in self._space.known_good[known:]:
                extra = {name: value for name, value in point.items() if name not in self._distributions}
                searched = self._searched(self._space.complete(point))
                study.enqueue_trial(searched, user_attrs={_OVERRIDES: extra, "known": True})
        self._told_again = 0
        self._known = len(told)
        return study

    def ask(self, trial: str) -> tuple[Point, str]:
        """Propose a point for this trial.

        Returns:
            The point (searched values, and whatever else a known-good point sets) and its origin: known_good, an
            earlier sweep, the sampler's name, or fixed where nothing is searched.
        """
        # Optuna takes no second word on a trial. To see how far those that went on have come it is told all anew, but
        # not so often that the time for it grows with the number of trials.
        protocol = self._space.protocol
        stale = self._told_again * _AGAIN >= self._known > 0 and protocol.sampler == "tpe"
        if stale or is_full(protocol, self._known):
            self._study = self._replayed()
        own: str = self._space.protocol.sampler if self._distributions else Origin.FIXED
        # Both looks are at all trials, and there are few of them until it is over.
        if self._warm is not None and not self._warm.over:
            waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            warm = None if waiting else self._warm.propose(self._history.values())
            if warm is not None:
                point, own = warm
                self._study.enqueue_trial(point)
        asked, searched = self._suggested()
        self._known += 1
        self._asked[trial] = asked
        origin = Origin.KNOWN_GOOD if asked.user_attrs.get("known") else own
        point = {**searched, **asked.user_attrs.get(_OVERRIDES, {})}
        self._history[trial] = Record(trial, Phase.EXPLORE, Step.SEARCH, None, 0, dict(point), origin)
        return point, origin

    @property
    def dropped(self) -> list[str]:
        """Lines on the earlier sweeps that were found to mislead."""
        return [] if self._warm is None else self._warm.dropped

    def _suggested(self) -> tuple[optuna.Trial, Point]:
        """Ask for a point, without the settings that its solver does not read: for what identity leaves out, any value
        would do, and one that was noted would be learnt from."""
        if "solver" not in self._distributions:
            asked = self._study.ask(self._distributions)
            return asked, asked.params
        if self._space.protocol.sampler != "tpe":  # these model points of one shape
            asked = self._study.ask(self._distributions)
            return asked, read_settings(asked.params)
        asked = self._study.ask()
        point: Point = {"solver": suggest(asked, "solver", self._distributions["solver"])}
        nothing_reads = unread(point)
        for name, distribution in self._distributions.items():
            if name not in {"solver", *nothing_reads}:
                point[name] = suggest(asked, name, distribution)
        return asked, point

    def report(self, trial: str, alternation: int, objective: float) -> None:
        """Pass an intermediate objective on."""
        if trial in self._asked:
            self._history[trial].curve[alternation] = objective
            self._report(trial, alternation, objective)

    def _report(self, trial: str, alternation: int, objective: float) -> None:
        # Of several objectives Optuna takes the last ones alone. It wants each once; who goes on repeats the last.
        reported = self._reported.setdefault(trial, set())
        if math.isfinite(objective) and not self._trades_off and alternation not in reported:
            reported.add(alternation)
            self._asked[trial].report(objective, alternation)

    def tell(self, record: Record) -> None:
        """Tell the outcome of an explore trial that has ended, or paused: that is all for now."""
        asked = self._asked.pop(record.trial, None)
        self._reported.pop(record.trial, None)
        self._history[record.trial] = record
        if asked is None:
            self._told_again += 1
            return
        state = state_of(record, self._trades_off)
        values = values_of(record, self._trades_off) if state == TrialState.COMPLETE else None
        # A pruned trial's value is its last intermediate one, which Optuna looks up itself.
        self._study.tell(asked, values, state=state)

    @property
    def trials(self) -> list[FrozenTrial]:
        """The study's trials, for inspection."""
        return self._study.get_trials(deepcopy=True)

    def _searched(self, point: Point) -> Point:
        return {name: value for name, value in point.items() if name in self._distributions}


def finetune_points(space: SearchSpace, count: int) -> list[Point]:
    """The first points of the fine-tuning search, shared by the finalists and the control.

    The first is the space's own setting, where it lies in the range; the others are a scrambled Sobol
    sequence, which covers a small budget more evenly than independent draws.

    Args:
        space: its finetune_parameters and the protocol's seed.
        count: how many; a longer list begins with a shorter one.

    Returns:
        The points; all empty if nothing of fine-tuning is searched.
    """
    if not space.finetune_parameters:
        return [{} for _ in range(count)]
    distributions = {name: distribution_of(p) for name, p in space.finetune_parameters.items()}
    study = optuna.create_study(sampler=_sobol(space.protocol.seed))
    own = {name: value for name, value in space.settings({}).model_dump().items() if name in distributions}
    if all(contains(distributions[name], value) for name, value in own.items()):
        study.enqueue_trial(own)
    points = []
    for _ in range(count):
        asked = study.ask(distributions)
        points.append(dict(asked.params))
        study.tell(asked, 0.0)
    return points


def _sampler(protocol: Protocol, replayed: int) -> BaseSampler:
    # The seed moves on with what has been replayed: a resumed random search must not repeat its draws.
    seed = protocol.seed + replayed
    match protocol.sampler:
        case "tpe":
            return TPESampler(seed=seed, n_startup_trials=protocol.startup_trials)
        case "gp":
            return _quietly(GPSampler, seed=seed, n_startup_trials=protocol.startup_trials)
        case "cmaes":
            # Whole numbers with a margin: without it steps soon are too small to leave one.
            return _quietly(CmaEsSampler, seed=seed, n_startup_trials=protocol.startup_trials, with_margin=True)
        case "nsga2":
            return NSGAIISampler(seed=seed, population_size=max(protocol.startup_trials, 2))
        case "random":
            return RandomSampler(seed=seed)
        case "qmc":
            return _sobol(seed)


def _sobol(seed: int) -> BaseSampler:
    return _quietly(QMCSampler, scramble=True, seed=seed)


def _quietly(kind: Callable[..., BaseSampler], **options: Any) -> BaseSampler:
    """A sampler that Optuna calls experimental, or which says that it draws some settings at random."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return kind(warn_independent_sampling=False, **options)


def suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> SettingValue:
    """Draw one setting of a trial that is asked for setting by setting."""
    match distribution:
        case FloatDistribution():
            return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
        case IntDistribution():
            low, high, step = distribution.low, distribution.high, distribution.step
            return trial.suggest_int(name, low, high, log=distribution.log, step=step)
        case CategoricalDistribution():
            value: SettingValue = trial.suggest_categorical(name, distribution.choices)
            return value
    raise TypeError(f"no distribution of ours: {distribution}")
