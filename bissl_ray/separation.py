"""Whether the best of some configurations is told apart from the others, and which need further seeds for it.

Seeds are added in rounds (issue 17), to twice as many each, and looked at after each. Who looks more often sees more by
chance: of the error that all looks together may have, each has an equal share (Bonferroni).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bissl_ray.statistics import paired_gain
from bissl_ray.winner import Contender, winner

Scores = Mapping[str, Mapping[int, float]]
"""Of each configuration, the objective by seed of its finished runs."""

_LEAST: Final = 2
"""Seeds of an interval."""


@dataclass(frozen=True)
class Look:
    """What is known after a round.

    Attributes:
        ahead: configurations of either side that are not told apart from the best of it, that one first.
        apart: whether either side has one left and these two are told apart.
        going_on: configurations that further seeds are to tell apart.
    """

    ahead: tuple[tuple[str, ...], tuple[str, ...]]
    apart: bool
    going_on: frozenset[str]


def rounds_of_seeds(seeds: int, most: int | None) -> list[int]:
    """How many seeds a configuration has had after each round, if it is in all of them.

    Args:
        seeds: of the first.
        most: of the last; None: there is one round.
    """
    found = [seeds]
    while most is not None and found[-1] < most:
        found.append(min(2 * found[-1], most))
    return found


def confidence_of_look(separation: float, looks: int) -> float:
    """The confidence of each of so many looks that together keep that of `separation`."""
    return 1 - (1 - separation) / looks


def look(sides: Sequence[Sequence[str]], scores: Scores, confidence: float) -> Look:
    """Look at all that have run.

    Args:
        sides: configurations of BiSSL and of the control, those that are still compared; either may be none.
        scores: of each; one without any is out.
        confidence: of one comparison, between 0 and 1.
    """
    ours, theirs = (tuple(_ahead(side, scores, confidence)) for side in sides)
    between = all(_apart(one, other, scores, confidence) for one in ours for other in theirs)
    undecided = [] if between else [*ours, *theirs]
    within = [name for side in (ours, theirs) if len(side) > 1 for name in side]
    return Look((ours, theirs), between and not within, frozenset([*undecided, *within]))


def no_better(own: Sequence[float], others: Sequence[float]) -> bool:
    """Whether some scores are, in the middle, no higher than others."""
    return median(own) <= median(others)


def _ahead(side: Sequence[str], scores: Scores, confidence: float) -> Iterator[str]:
    best = winner(Contender(name, list(scores[name].values())) for name in side)
    if best is None:
        return
    yield best.name
    for name in side:
        if name != best.name and scores[name] and not _apart(best.name, name, scores, confidence):
            yield name


def _apart(one: str, other: str, scores: Scores, confidence: float) -> bool:
    gain = paired_gain(scores[one], scores[other], confidence)
    if gain is None or gain.low is None or gain.high is None or gain.n < _LEAST:
        return False
    return gain.low > 0 or gain.high < 0
