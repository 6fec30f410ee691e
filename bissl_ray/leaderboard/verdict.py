"""The honest answer per sweep: is BiSSL better than plain fine-tuning here, beyond seed noise?"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Final, Literal

from bissl_ray.leaderboard.configurations import (
    Configuration,
    Row,
    best_bissl,
    best_control,
    gather,
    standing,
)
from bissl_ray.leaderboard.numbers import percent, points
from bissl_ray.leaderboard.statistics import Estimate, estimate, paired_gain

Outcome = Literal["wins", "no_difference", "loses", "unconfirmed"]
Split = Literal["test", "validation"]


@dataclass(frozen=True)
class Verdict:
    """What a sweep found out.

    The winner is chosen by its validation scores, which flatters it there; the test split knows nothing
    of the choice. So the gain on the test split decides wherever two seeds of both sides have it.

    Attributes:
        dataset: name of the dataset.
        sweep: name of the sweep.
        outcome: by the 95% interval of the paired gain: above zero wins, below zero loses.
        decided_on: the split that decided; None while unconfirmed.
        sentence: the outcome in one plain sentence, in percent and points.
        winner: trial of the best confirmed configuration.
        control: trial of the best confirmed point of plain fine-tuning.
        winner_objective: on validation, over all its seeds. A fraction, as are all that follow.
        control_objective: likewise.
        gain: on validation, winner - control over shared seeds.
        winner_test: on the test split.
        control_test: likewise.
        test_gain: on the test split, winner - control over shared seeds.
    """

    dataset: str
    sweep: str
    outcome: Outcome
    decided_on: Split | None
    sentence: str
    winner: str | None
    control: str | None
    winner_objective: Estimate | None
    control_objective: Estimate | None
    gain: Estimate | None
    winner_test: Estimate | None
    control_test: Estimate | None
    test_gain: Estimate | None


def verdicts(trials: Iterable[Row]) -> list[Verdict]:
    """Judge every sweep, ordered by dataset and name.

    Args:
        trials: rows as `to_rows(read_trials(...))` gives them.
    """
    configurations = gather(trials)
    return [judge(configurations, sweep) for sweep in sorted({c.sweep for c in configurations})]


def judge(configurations: list[Configuration], sweep: tuple[str, str], where: str | None = None) -> Verdict:
    """Judge one sweep.

    Args:
        configurations: as `gather` gives them; those of other sweeps are left aside.
        sweep: dataset and name.
        where: how the sentence names what was compared; None: by the dataset.
    """
    where = sweep[0] if where is None else where
    winner, control = best_bissl(configurations, sweep), best_control(configurations, sweep)
    if control is not None and not control.scores:
        control = None
    gain = test_gain = None
    if winner is not None and control is not None:
        gain = paired_gain(winner.scores, control.scores)
        test_gain = paired_gain(winner.test_scores, control.test_scores)
    split: Split = "test" if _outcome(test_gain) != "unconfirmed" else "validation"
    deciding = test_gain if split == "test" else gain
    outcome = _outcome(deciding)
    if deciding is None or winner is None or control is None or outcome == "unconfirmed":
        sentence = _unconfirmed(configurations, sweep, where, winner, control, gain)
    else:
        sentence = _decided(where, outcome, deciding, split, _shared_means(winner, control, split))
    return Verdict(
        dataset=sweep[0],
        sweep=sweep[1],
        outcome=outcome,
        decided_on=None if outcome == "unconfirmed" else split,
        sentence=sentence,
        winner=None if winner is None else winner.head["trial"],
        control=None if control is None else control.head["trial"],
        winner_objective=None if winner is None else winner.confirmed,
        control_objective=None if control is None else control.confirmed,
        gain=gain,
        winner_test=None if winner is None else estimate(list(winner.test_scores.values())),
        control_test=None if control is None else estimate(list(control.test_scores.values())),
        test_gain=test_gain,
    )


def _outcome(gain: Estimate | None) -> Outcome:
    if gain is None or gain.low is None or gain.high is None:
        return "unconfirmed"
    if gain.low > 0:
        return "wins"
    return "loses" if gain.high < 0 else "no_difference"


def _shared_means(winner: Configuration, control: Configuration, split: Split) -> tuple[float, float]:
    """Average both sides over the seeds that both have, so that the means differ by the paired gain."""
    ours, theirs = (c.test_scores if split == "test" else c.scores for c in (winner, control))
    shared = sorted(ours.keys() & theirs.keys())
    return fmean(ours[seed] for seed in shared), fmean(theirs[seed] for seed in shared)


_OPENING: Final[dict[Outcome, str]] = {
    "wins": "BiSSL wins",
    "no_difference": "No difference beyond seed noise",
    "loses": "BiSSL LOSES",
}


def _decided(where: str, outcome: Outcome, gain: Estimate, split: Split, means: tuple[float, float]) -> str:
    caution = "" if split == "test" else "; the winner was chosen on this split, which flatters it"
    return (
        f"{_OPENING[outcome]} on {where}: {percent(means[0])}% against {percent(means[1])}% for plain "
        f"fine-tuning on the {split} split, {points(gain.mean)} points (95% interval {points(gain.low)} to "
        f"{points(gain.high)}, {gain.n} seeds{caution})."
    )


def _unconfirmed(
    configurations: list[Configuration],
    sweep: tuple[str, str],
    where: str,
    winner: Configuration | None,
    control: Configuration | None,
    gain: Estimate | None,
) -> str:
    opening = f"Not confirmed yet on {where}:"
    if winner is None:
        ours = [c for c in configurations if c.kind == "bissl" and c.sweep == sweep]
        best = max(ours, key=standing, default=None)
        if best is None or best.explored is None:
            return f"{opening} no trial has a score so far."
        return f"{opening} the best explored so far is {best.head['trial']} at {percent(best.explored)}%."
    if control is None:
        return f"{opening} {winner.head['trial']} leads, but plain fine-tuning has no confirmed run."
    shared = "no seed" if gain is None else "1 seed"
    return f"{opening} {winner.head['trial']} and plain fine-tuning share {shared}; a verdict takes 2."
