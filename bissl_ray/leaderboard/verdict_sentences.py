"""A verdict in sentences."""

from collections.abc import Sequence
from statistics import fmean
from typing import Final, Literal

from bissl_ray.leaderboard.configurations import Configuration
from bissl_ray.metrics import of_objective
from bissl_ray.statistics import Estimate
from bissl_ray.winner import place
from bissl_ray.words import Kind, Status

Outcome = Literal["wins", "wins_with_failures", "no_difference", "loses", "unconfirmed"]
Split = Literal["test", "validation"]

_OPENING: Final[dict[Outcome, str]] = {
    "wins": "BiSSL wins on {where}",
    "wins_with_failures": "BiSSL is better on {where} over the seeds that both finished",
    "no_difference": "No difference beyond seed noise on {where}",
    "loses": "BiSSL LOSES on {where}",
}


def decided(
    where: str,
    outcome: Outcome,
    gain: Estimate,
    split: Split,
    winner: Configuration,
    control: Configuration,
    against: str,
) -> str:
    """Say how it came out, with both means over the seeds that both have, so that they differ by the paired gain."""
    ours, theirs = (c.test_scores if split == "test" else c.scores for c in (winner, control))
    shared = sorted(ours.keys() & theirs.keys())
    means = fmean(ours[seed] for seed in shared), fmean(theirs[seed] for seed in shared)
    metric = of_objective(winner.objective_name)
    by = metric.gain(gain.mean, unit=" points") if metric.share else f"a gain of {metric.gain(gain.mean)}"
    caution = "" if split == "test" else "; the winner was chosen on this split, which flatters it"
    return (
        f"{_OPENING[outcome].format(where=where)}: {metric.score(means[0])} against {metric.score(means[1])} for "
        f"{against} on the {split} split, {by} (95% interval {metric.gain(gain.low)} to "
        f"{metric.gain(gain.high)}, {gain.n} seeds{caution})."
    )


def unconfirmed(
    where: str,
    explored: Sequence[Configuration],
    winner: Configuration | None,
    control: Configuration | None,
    gain: Estimate | None,
    against: str,
) -> str:
    """Say what a verdict still lacks.

    Args:
        where: what is compared.
        explored: BiSSL's configurations.
        winner: the best confirmed of them.
        control: the best confirmed of what it is compared with.
        gain: over the seeds that both have.
        against: what that is called.
    """
    opening = f"Not confirmed yet on {where}:"
    if winner is None:
        best = min(explored, key=lambda c: place(c.contender), default=None)
        if best is None or best.explored is None:
            return f"{opening} no trial has a score so far."
        score = of_objective(best.objective_name).score(best.explored)
        return f"{opening} the best explored so far is {best.head['trial']} at {score}."
    if control is None:
        return f"{opening} {winner.head['trial']} leads, but {against} has no confirmed run."
    shared = "no seed" if gain is None else "1 seed"
    return f"{opening} {winner.head['trial']} and {against} share {shared}; a verdict takes 2."


def alone(where: str, title: str, control: Configuration | None) -> str:
    """Say of a sweep that runs a control by itself what it has come to."""
    found = None if control is None else control.confirmed
    if control is None or found is None:
        return f"Not confirmed yet on {where}: {title}, a control of a comparison."
    score = of_objective(control.objective_name).score(found.mean)
    return f"{title[0].upper()}{title[1:]} on {where}: {score} over {found.n} seeds on the validation split, a control."


def failures(
    where: str, winner: Configuration, control: Configuration, split: Split, shared: int, against: str
) -> str | None:
    """Say on how many seeds either side failed; None where none did.

    A configuration that fails on hard seeds would else be judged by the easy ones alone, without a word.

    Args:
        where: what is compared.
        winner: BiSSL's configuration.
        control: of plain fine-tuning.
        split: that decides.
        shared: seeds that both finished.
        against: what the control is called.
    """
    sides = [("BiSSL", winner), (against, control)]
    lost = [(name, c.failed_seeds(split == "test"), len(c.seeds)) for name, c in sides]
    (first, failed, seeds), (other, also, _) = sorted(lost, key=lambda side: side[1] == 0)
    if not failed:
        return None
    kept = f"the gain is of the {shared} that both finished" if shared > 1 else f"both finished {shared or 'none'}"
    return (
        f"{first[0].upper()}{first[1:]} failed on {failed} of {seeds} seeds on {where} ({other} on {also or 'none'}): "
        f"{kept}."
    )


def without_result(where: str, configurations: Sequence[Configuration], against: str | None) -> str:
    """Say why a sweep that has run to its end has no verdict.

    Args:
        where: what is compared.
        configurations: all of the sweep's, and of its control's.
        against: what that is called; None: plain fine-tuning.
    """
    opening = f"Ended without a result on {where}:"
    ours, theirs = ([c for c in configurations if c.kind == kind] for kind in (Kind.BISSL, Kind.CONTROL))
    every = "BiSSL's configuration" if len(ours) == 1 else "every configuration of BiSSL"
    for failed, name in ((ours, every), (theirs, against or "plain fine-tuning")):
        if not any(c.scores for c in failed):
            return f"{opening} {name} failed{_reason(failed)}."
    return f"{opening} a verdict takes 2 seeds that both sides finish{_reason(configurations)}."


def _reason(configurations: Sequence[Configuration]) -> str:
    """Why the last of their runs that failed did so, without the advice; nothing where none gives a reason."""
    rows = [row for c in configurations for row in c.runs if row["status"] in (Status.FAILED, Status.PRUNED)]
    reasons = [row["status_reason"].partition("; ")[0] for row in rows if row["status_reason"]]
    return f" ({reasons[-1]})" if reasons else ""
