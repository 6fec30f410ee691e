"""How long a sweep still takes, learnt from what has run (issue 17)."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bissl_ray.search.plans import RunKind
from bissl_ray.words import Phase, Step

SEARCH: Final[RunKind] = (Phase.EXPLORE, Step.SEARCH)
_WHOLE: Final[RunKind] = (Phase.CONFIRM, Step.SEEDS)
_TUNING: Final[RunKind] = (Phase.CONFIRM, Step.TUNING)


@dataclass(frozen=True)
class Underway:
    """A run that has begun.

    Attributes:
        kind: of run.
        elapsed: seconds since it began.
        alternations: of an explore trial, reported since then.
        to_go: of an explore trial, alternations that it has not reported, unless it is stopped.
    """

    kind: RunKind
    elapsed: float
    alternations: int = 0
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
        self._runs: Counter[RunKind] = Counter()
        self._explored = 0
        """Alternations of the explore trials that have ended."""

    def learn(self, kind: RunKind, seconds: float, alternations: int = 0, went_on: bool = False) -> None:
        """Take in a run that has ended, or paused.

        Args:
            kind: of run.
            seconds: that it took, from when it was given out.
            alternations: of an explore trial, until it ended or was stopped.
            went_on: whether it is a run that had been counted before it went on.
        """
        self._seconds[kind] += seconds
        self._runs[kind] += not went_on
        if kind == SEARCH:
            self._explored += alternations

    def left(self, to_come: Mapping[RunKind, int], underway: Iterable[Underway], slots: int) -> float | None:
        """Seconds until all has run; None before anything tells how long a run takes.

        Steps of a sweep follow each other: where fewer runs of one are left than slots, the others wait.

        Args:
            to_come: how many runs of each kind have not begun.
            underway: runs that have.
            slots: runs at a time.
        """
        underway = list(underway)
        one = self._one(underway)
        if one is None:
            return None
        left: dict[Step, list[float]] = {}
        for run in underway:
            if run.kind == SEARCH:
                trial = self._whole_trial(underway) or one(SEARCH)
                of_trial = run.elapsed * self._alternations / run.alternations if run.alternations else trial
                rest = of_trial * run.to_go / self._alternations
            else:
                rest = max(one(run.kind) - run.elapsed, 0.0)
            left.setdefault(run.kind[1], []).append(rest)
        for kind, number in to_come.items():
            left.setdefault(kind[1], []).extend([one(kind)] * number)
        return sum(max(sum(runs) / slots, max(runs)) for runs in left.values())

    def _one(self, underway: list[Underway]) -> Callable[[RunKind], float] | None:
        """What a run of a kind takes from beginning to end."""
        rate = self._rate(underway)
        if rate is None:
            return None

        def seconds(kind: RunKind) -> float:
            if kind == SEARCH:
                share = self._mean_alternations(underway) / self._alternations
                return share * (self._whole_trial(underway) or rate * self._work(SEARCH))
            if self._runs[kind]:
                return self._seconds[kind] / self._runs[kind]
            trial = self._whole_trial(underway)
            if kind == _WHOLE and trial is not None:
                return trial + seconds(_TUNING)
            return rate * self._work(kind)

        return seconds

    def _rate(self, underway: list[Underway]) -> float | None:
        """Seconds per unit of work, over all that has run or reported."""
        seconds, work = float(sum(self._seconds.values())), 0.0
        for kind, runs in self._runs.items():
            part = self._explored / self._alternations if kind == SEARCH else runs
            work += part * self._work(kind)
        for run in underway:
            if run.alternations:
                seconds += run.elapsed
                work += run.alternations / self._alternations * self._work(SEARCH)
        return seconds / work if work else None

    def _whole_trial(self, underway: list[Underway]) -> float | None:
        """Seconds of an explore trial that is not stopped; None before an alternation has been reported."""
        reported = [run for run in underway if run.alternations]
        alternations = self._explored + sum(run.alternations for run in reported)
        if not alternations:
            return None
        seconds = self._seconds[SEARCH] + sum(run.elapsed for run in reported)
        return seconds / alternations * self._alternations

    def _mean_alternations(self, underway: list[Underway]) -> float:
        """Of an explore trial: those under way are taken to go on to the end, as the short ones end first."""
        running = sum(run.kind == SEARCH for run in underway)
        trials = self._runs[SEARCH] + running
        return (self._explored + running * self._alternations) / trials if trials else self._alternations
