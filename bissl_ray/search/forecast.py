"""How long a sweep still takes, learnt from what has run (issue 17)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bissl_ray.search.plans import RunKind
from bissl_ray.words import Phase, Step

SEARCH: Final[RunKind] = (Phase.EXPLORE, Step.SEARCH)
_WHOLE: Final[RunKind] = (Phase.CONFIRM, Step.SEEDS)
_TUNING: Final[RunKind] = (Phase.CONFIRM, Step.TUNING)
_OF_BEFORE: Final = 3
"""Runs of each kind that those of earlier sessions weigh as many as: the machine may be another now, or less busy."""


@dataclass(frozen=True)
class Climb:
    """How an explore trial has come up its alternations.

    Attributes:
        reports: alternations that it has reported.
        first: seconds from when it was given out until its first report: opening data and warming up are in it.
        last: seconds until its last report.
    """

    reports: int = 0
    first: float = 0.0
    last: float = 0.0


@dataclass(frozen=True)
class Underway:
    """A run that has begun.

    Attributes:
        kind: of run.
        elapsed: seconds since it was given out.
        climb: of an explore trial.
        to_go: of an explore trial, alternations that it has not reported, unless it is stopped.
    """

    kind: RunKind
    elapsed: float
    climb: Climb = Climb()
    to_go: int = 0


class Forecast:
    """Learns what runs of each kind take, and adds up those to come.

    A kind that has not run yet is judged by others: a confirmation run of BiSSL by whole trials and their fine-tuning,
    anything else by its work, at the rate of what has run.
    """

    def __init__(self, alternations: int, work: Callable[[RunKind], float]) -> None:
        """Begin with nothing learnt.

        Args:
            alternations: of a trial that is not stopped early.
            work: of a run of a kind to its end, in any unit that is the same for all kinds (`cost.work_of`).
        """
        self._alternations = max(alternations, 1)
        self._work = work
        self._seconds: defaultdict[RunKind, float] = defaultdict(float)
        self._runs: defaultdict[RunKind, float] = defaultdict(float)
        self._climbs = _Climbs()

    def learn(self, kind: RunKind, seconds: float, climb: Climb = Climb(), went_on: bool = False) -> None:
        """Take in a run that has ended, or paused.

        Args:
            kind: of run.
            seconds: that it took, from when it was given out.
            climb: of an explore trial.
            went_on: whether it is a run that had been counted before it went on.
        """
        self._seconds[kind] += seconds
        # One that an earlier session had begun is the first that this one knows of.
        self._runs[kind] = max(self._runs[kind] + (not went_on), 1)
        self._climbs.add(climb)

    def begin_session(self) -> None:
        """Have what was learnt so far weigh no more than a few runs of the session that begins now."""
        for kind, runs in self._runs.items():
            share = min(1.0, _OF_BEFORE / runs) if runs else 1.0
            self._seconds[kind] *= share
            self._runs[kind] = runs * share
        self._climbs = self._climbs.at_most(_OF_BEFORE)

    def left(self, to_come: Mapping[RunKind, int], underway: Iterable[Underway], slots: int) -> float | None:
        """Seconds until all has run; None before anything tells how long a run takes.

        Steps of a sweep follow each other: where fewer runs of one are left than slots, the others wait.

        Args:
            to_come: how many runs of each kind have not begun.
            underway: runs that have.
            slots: runs at a time.
        """
        running = list(underway)
        climbs = self._climbs.and_those(run.climb for run in running)
        rate = self._rate(climbs)
        if rate is None:
            return None
        whole = climbs.whole(self._alternations)

        def one(kind: RunKind) -> float:
            """What a run of a kind takes from beginning to end."""
            if kind == SEARCH and whole is not None:
                # Those under way are taken to go on to their end: the short ones end first.
                trials = [run for run in running if run.kind == SEARCH]
                return (self._seconds[SEARCH] + whole * len(trials)) / (self._runs[SEARCH] + len(trials))
            if self._runs[kind]:
                return self._seconds[kind] / self._runs[kind]
            if kind == _WHOLE and whole is not None:
                return whole + one(_TUNING)
            return rate * self._work(kind)

        left: dict[Step, list[float]] = defaultdict(list)
        for run in running:
            if run.kind == SEARCH and run.climb.reports:
                rest = climbs.each * run.to_go - (run.elapsed - run.climb.last)
            elif run.kind == SEARCH and whole is not None:
                rest = whole - climbs.each * (self._alternations - run.to_go) - run.elapsed
            else:
                rest = one(run.kind) - run.elapsed
            left[run.kind[1]].append(max(rest, 0.0))
        for kind, number in to_come.items():
            left[kind[1]].extend([one(kind)] * number)
        return sum(max(sum(runs) / slots, max(runs)) for runs in left.values() if runs)

    def _rate(self, climbs: "_Climbs") -> float | None:
        """Seconds per unit of work, over all that has run or reported."""
        others = [kind for kind in self._runs if kind != SEARCH]
        seconds = sum(self._seconds[kind] for kind in others)
        work = sum(self._runs[kind] * self._work(kind) for kind in others)
        if climbs.trials:
            seconds += climbs.each * self._alternations
            work += self._work(SEARCH)
        return seconds / work if work else None


class _Climbs:
    """What explore trials took, to their first report and from each to the next."""

    def __init__(self, trials: float = 0, firsts: float = 0.0, steps: float = 0, climbing: float = 0.0) -> None:
        self.trials, self._firsts, self._steps, self._climbing = trials, firsts, steps, climbing

    def add(self, climb: Climb) -> None:
        if climb.reports:
            self.trials += 1
            self._firsts += climb.first
            self._steps += climb.reports - 1
            self._climbing += climb.last - climb.first

    def and_those(self, climbs: Iterable[Climb]) -> "_Climbs":
        every = _Climbs(self.trials, self._firsts, self._steps, self._climbing)
        for climb in climbs:
            every.add(climb)
        return every

    def at_most(self, trials: float) -> "_Climbs":
        """The same, as of so many trials at most."""
        share = min(1.0, trials / self.trials) if self.trials else 1.0
        return _Climbs(self.trials * share, self._firsts * share, self._steps * share, self._climbing * share)

    @property
    def each(self) -> float:
        """Seconds of an alternation."""
        return self._climbing / self._steps if self._steps else self._firsts / (self.trials or 1)

    def whole(self, alternations: int) -> float | None:
        """Seconds of a trial that is not stopped; None before an alternation has been reported."""
        return self._firsts / self.trials + self.each * (alternations - 1) if self.trials else None
