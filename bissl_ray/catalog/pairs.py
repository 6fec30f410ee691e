"""What is not alike in two things, and their scores beside each other, paired by seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bissl_ray.leaderboard.configurations import Configuration, finite
from bissl_ray.statistics import Estimate, estimate, paired_gain


@dataclass(frozen=True)
class Difference:
    """Something that is not alike.

    Attributes:
        name: of the setting or the fact.
        a: of the first.
        b: of the second; None, as of the first, where it has none.
    """

    name: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Pair:
    """A score of both.

    Attributes:
        of: what is scored, in words: "explored", "confirmed", "winner", "control".
        split: it is of.
        a: of the first; a mean over seeds where it is confirmed.
        b: of the second.
        gain: b - a, over the seeds that both have; of single runs their difference; None where it would say nothing.
        seeds: score of each seed that both have, the first's and the second's.
        objective_name: what the score is called.
    """

    of: str
    split: Literal["validation", "test"]
    a: Estimate | None
    b: Estimate | None
    gain: Estimate | None
    seeds: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    objective_name: str | None = None


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """What is not alike in two mappings, in the order of the first, then of the second."""
    names = dict.fromkeys([*a, *b])
    return [Difference(name, a.get(name), b.get(name)) for name in names if a.get(name) != b.get(name)]


def scores_of(of: str, a: Configuration, b: Configuration, pair: bool) -> list[Pair]:
    """Scores of both on each split that both have; single runs by themselves."""
    name = a.objective_name or b.objective_name
    alike = None in (a.objective_name, b.objective_name) or a.objective_name == b.objective_name
    found = []
    if (
        not of
        and (a.explored is not None or b.explored is not None)
        and not (a.seeds and b.seeds and a.head in a.seeds)
    ):
        one, other = a.explored, b.explored
        gain = other - one if pair and alike and one is not None and other is not None else None
        found.append(Pair("by itself", "validation", _single(one), _single(other), _single(gain), {}, name))
    for split, ours, theirs in (("validation", a.scores, b.scores), ("test", a.test_scores, b.test_scores)):
        if ours or theirs:
            shared = sorted(ours.keys() & theirs.keys()) if pair and alike else []
            found.append(
                Pair(
                    of or "over seeds",
                    "test" if split == "test" else "validation",
                    estimate(list(ours.values())),
                    estimate(list(theirs.values())),
                    paired_gain(theirs, ours) if shared else None,
                    {seed: (ours[seed], theirs[seed]) for seed in shared},
                    name,
                )
            )
    return found


def _single(value: float | None) -> Estimate | None:
    return None if value is None or finite(value) is None else Estimate(value, None, None, 1)
