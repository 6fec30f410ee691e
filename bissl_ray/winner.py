"""Who wins: the one rule by which the planner sends a configuration to the test split and the board names the best."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Contender:
    """A configuration, as far as the rule looks at it.

    Attributes:
        name: of the trial that it began with.
        scores: objective of each confirmation run that finished with one, in any order; larger is better.
        explored: objective of its first trial by itself; None: it has none, or failed.
    """

    name: str
    scores: Sequence[float] = ()
    explored: float | None = None


def place(contender: Contender) -> tuple[int, int, float, str]:
    """Give the key that sorts the better contender first: confirmed before explored before failed.

    Of the confirmed, the one with more finished seeds comes first: a run that failed counts against its configuration,
    or one good seed would win for four that diverged. Then the higher mean decides, and of those that are level, as on
    small validation splits happens, the first by name.
    """
    if contender.scores:
        return 0, -len(contender.scores), -fmean(contender.scores), contender.name
    if contender.explored is not None:
        return 1, 0, -contender.explored, contender.name
    return 2, 0, 0.0, contender.name


def winner(contenders: Iterable[Contender]) -> Contender | None:
    """Pick the best of those that are confirmed; None before there is one."""
    return min((contender for contender in contenders if contender.scores), key=place, default=None)


def front_first(items: Sequence[T], scores_and_costs: Sequence[tuple[float, float]]) -> list[T]:
    """Those on the front of `on_front`, then the others, each in the order given."""
    flags = on_front(scores_and_costs)
    return [item for wanted in (True, False) for item, is_on in zip(items, flags, strict=True) if is_on == wanted]


def on_front(scores_and_costs: Sequence[tuple[float, float]]) -> list[bool]:
    """Which of some are on the Pareto front: no other has as high a score at as low a cost, and one of both better.

    Args:
        scores_and_costs: of each, the larger and the smaller the better.
    """
    order = sorted(range(len(scores_and_costs)), key=lambda i: (-scores_and_costs[i][0], scores_and_costs[i][1]))
    found, least, of_score = [False] * len(order), math.inf, math.nan
    for i in order:
        score, cost = scores_and_costs[i]
        # Those that are level in both stand side by side.
        found[i] = cost < least or (score == of_score and cost == least)
        if found[i]:
            least, of_score = cost, score
    return found
