"""What earlier sweeps propose to a new one, and the guard that stops those which mislead (issue 17).

Scores of another dataset, or of another backbone, are on another scale: each source has a study of its own, with its
own scores, and what is drawn from that is judged here by the scores that it comes to.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from bissl_ray.config.parameters import Point
from bissl_ray.config.protocol import Protocol
from bissl_ray.config.requests import WarmSource, WarmTrial
from bissl_ray.data.sampling import derived_seed
from bissl_ray.search.records import Record
from bissl_ray.separation import no_better
from bissl_ray.words import WARM, Origin, Status

_LEAST: Final = 2
"""Trials on either side, before a source can be found to mislead."""


class WarmStart:
    """Every other trial of a sweep's random ones is drawn from a source, as long as that does not mislead."""

    def __init__(
        self, sources: Sequence[WarmSource], protocol: Protocol, distributions: Mapping[str, BaseDistribution]
    ) -> None:
        """Set up.

        Args:
            sources: earlier sweeps, with what they have explored.
            protocol: of the new sweep.
            distributions: what it searches.
        """
        self._sources = {f"{WARM}{source.sweep}": source for source in sources}
        self._protocol, self._distributions = protocol, dict(distributions)
        self._least = max(protocol.startup_trials, 2 * _LEAST * len(sources))
        self.over = False
        """Whether nothing more is drawn from any, however many trials follow."""
        self.dropped: list[str] = []
        """Lines on the sources that were found to mislead."""

    def propose(self, history: Iterable[Record]) -> tuple[Point, str] | None:
        """A point of a source, and its origin; None: the sampler is to propose the next trial.

        Args:
            history: explore trials so far, those under way among them.
        """
        drawn = [record for record in history if record.origin != Origin.KNOWN_GOOD]
        self.over = len(drawn) >= self._least
        if self.over or len(drawn) % 2:
            return None
        number = {origin: sum(record.origin == origin for record in drawn) for origin in self._sources}
        kept = [origin for origin in self._sources if not misleads(origin, drawn, self._protocol)]
        sampler = self._protocol.sampler
        self.dropped = [
            f"nothing more is drawn from {origin.removeprefix(WARM)}: its {count} trials are no better than "
            f"those of {sampler}"
            for origin, count in number.items()
            if origin not in kept
        ]
        if not kept:
            return None
        origin = min(kept, key=number.__getitem__)
        return self._drawn(self._sources[origin], number[origin]), origin

    def _drawn(self, source: WarmSource, number: int) -> Point:
        """Its best, then what TPE makes of all that it has explored: always the same for the same number."""
        if number == 0:
            return {name: value for name, value in source.best.items() if name in self._distributions}
        seed = derived_seed(source.sweep, self._protocol.seed, number) % 2**32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler = TPESampler(seed=seed, n_startup_trials=0, multivariate=True)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for trial in source.trials:
            study.add_trial(self._frozen(trial))
        return study.ask(self._distributions).params

    def _frozen(self, trial: WarmTrial) -> optuna.trial.FrozenTrial:
        state = TrialState.COMPLETE if trial.complete else TrialState.PRUNED
        params = {name: trial.point[name] for name in self._distributions}
        return create_trial(
            state=state,
            value=trial.objective,
            params=params,
            distributions=self._distributions,
            intermediate_values={trial.alternation: trial.objective},
        )


def misleads(origin: str, history: Iterable[Record], protocol: Protocol) -> bool:
    """Whether a source's trials are no better than those that others proposed, by how all stood when they had as much.

    Args:
        origin: of its trials.
        history: explore trials so far.
        protocol: says from which alternation on trials may have been stopped.
    """
    ended = [r for r in history if r.status in (Status.COMPLETE, Status.PRUNED, Status.PAUSED) and r.curve]
    first = min((max(record.curve) for record in ended), default=protocol.grace)
    scores = [(record.origin, _at(record, min(first, protocol.grace))) for record in ended]
    own = [score for by, score in scores if by == origin]
    others = [score for by, score in scores if not by.startswith(WARM)]
    return len(own) >= _LEAST and len(others) >= _LEAST and no_better(own, others)


def _at(record: Record, alternation: int) -> float:
    """The score that a trial had after so many alternations, or else after its first."""
    return record.curve[max((at for at in record.curve if at <= alternation), default=min(record.curve))]
