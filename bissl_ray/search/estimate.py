"""What a sweep will take, said before it starts (issue 17)."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from bissl_ray.config.protocol import Protocol
from bissl_ray.search.brackets import Brackets
from bissl_ray.search.forecast import SEARCH, Forecast
from bissl_ray.search.plans import RunKind


@dataclass(frozen=True)
class Pace:
    """How fast runs went that have been timed.

    Attributes:
        seconds: that runs of a kind took in all.
        work: their gradients, as `cost.work_of` counts.
        source: what was timed, in words.
    """

    seconds: Mapping[RunKind, float]
    work: Mapping[RunKind, float]
    source: str

    def of(self, kind: RunKind) -> float:
        """Seconds per gradient; of a kind that was not timed, over all."""
        if self.work.get(kind):
            return self.seconds[kind] / self.work[kind]
        return sum(self.seconds.values()) / sum(self.work.values())


@dataclass(frozen=True)
class Estimate:
    """What a sweep will take.

    Attributes:
        gradients: that all runs evaluate, where ASHA stops as many trials as it would if scores were chance.
        most_gradients: where it stops none.
        seconds: with so many runs at a time, likewise; None: nothing like it has been timed.
        most_seconds: likewise.
    """

    gradients: float
    most_gradients: float
    seconds: float | None = None
    most_seconds: float | None = None


def estimate(
    runs: Mapping[RunKind, int],
    protocol: Protocol,
    alternations: int,
    work: Callable[[RunKind, int | None], float],
    slots: int,
    pace: Pace | None,
) -> Estimate:
    """Add up a sweep that has not begun.

    Args:
        runs: of each kind (`Planner.to_come`).
        protocol: of the sweep.
        alternations: of a trial that is not stopped.
        work: gradients of a run of a kind, where trials have so many alternations.
        slots: runs at a time.
        pace: of runs like these; None: nothing has been timed.
    """
    explored = runs.get(SEARCH, 0)
    ends = dict(stopped_by_chance(protocol, explored, alternations))
    likely = sum(number * work(SEARCH, level) for level, number in ends.items()) / max(explored, 1)

    def added(search: float) -> tuple[float, float | None]:
        of_kind = {kind: search if kind == SEARCH else work(kind, alternations) for kind in runs}
        gradients = sum(number * of_kind[kind] for kind, number in runs.items())
        if pace is None:
            return gradients, None
        forecast = Forecast(alternations, of_kind.__getitem__)
        for kind in runs:
            forecast.learn(kind, of_kind[kind] * pace.of(kind))
        return gradients, forecast.left(Counter(runs), (), slots)

    gradients, seconds = added(likely)
    most_gradients, most_seconds = added(work(SEARCH, alternations))
    return Estimate(gradients, most_gradients, seconds, most_seconds)


def stopped_by_chance(protocol: Protocol, trials: int, alternations: int) -> Iterator[tuple[int, float]]:
    """How many explore trials end at each rung if their scores come in any order alike.

    Args:
        protocol: of the sweep.
        trials: that explore.
        alternations: of a trial that is not stopped.

    Yields:
        The alternation, and how many trials end there: the rungs' first, the last alternation's last.
    """
    if not protocol.early_stopping or protocol.at_a_rung == "exploit":  # for who ends there another goes on
        yield alternations, float(trials)
        return
    brackets = Brackets(protocol, alternations)
    ends: Counter[int] = Counter()
    for bracket, share in enumerate(brackets.shares):
        left = [share * trials]
        for _ in brackets.rungs(bracket):
            left.append(_go_on(protocol, left[-1]))
        for level, (before, after) in zip(
            [*brackets.rungs(bracket), alternations], pairwise([*left, 0.0]), strict=True
        ):
            ends[level] += before - after
    yield from sorted(ends.items())


def _go_on(protocol: Protocol, trials: float) -> float:
    factor = protocol.reduction_factor
    if protocol.at_a_rung == "pause":
        return min(trials, max(trials / factor, protocol.finalists))
    # The i-th to come goes on if it is among the best of those before it and itself; the first always does.
    return min(trials, sum(((i - 1) // factor + 1) / i for i in range(1, round(trials) + 1)))
