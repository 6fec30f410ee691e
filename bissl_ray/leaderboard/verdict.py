"""The honest answer per sweep: is BiSSL better than plain fine-tuning here, beyond seed noise?"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyarrow as pa

from bissl_ray.controls import CONTROLS
from bissl_ray.leaderboard.asked import cut_short, front_of, seeds_added, space_of_sweep, warm_started
from bissl_ray.leaderboard.configurations import Configuration, best_bissl, best_control, control_of, gather
from bissl_ray.leaderboard.edges import Edge, edges_of_best
from bissl_ray.leaderboard.in_columns import explored_of
from bissl_ray.leaderboard.verdict_sentences import Outcome, Split, alone, decided, failures, unconfirmed
from bissl_ray.statistics import Estimate, estimate, paired_gain
from bissl_ray.store.schema import Row
from bissl_ray.words import Kind, Step

_PLAIN: Final = "plain fine-tuning"


@dataclass(frozen=True)
class Verdict:
    """What a sweep found out.

    The winner is chosen by its validation scores, which flatters it there; the test split knows nothing
    of the choice. So the gain on the test split decides wherever two seeds of both sides have it.

    Attributes:
        dataset: name of the dataset.
        sweep: name of the sweep.
        outcome: by the 95% interval of the paired gain: above zero wins, below zero loses. Not plainly a win where
            seeds failed on either side: the gain leaves those out.
        decided_on: the split that decided; None while unconfirmed.
        sentence: the outcome in one plain sentence, in percent and points.
        failures: on how many seeds either side failed, in a sentence; None where none did.
        winner: trial of the best confirmed configuration.
        control: trial of the best confirmed point of plain fine-tuning.
        winner_objective: on validation, over all its seeds. A fraction, as are all that follow.
        control_objective: likewise.
        gain: on validation, winner - control over shared seeds.
        winner_test: on the test split.
        control_test: likewise.
        test_gain: on the test split, winner - control over shared seeds.
        winner_failed: seeds that it failed on.
        control_failed: likewise.
        edges: settings whose best value lies at the edge of what was searched.
        cut_short: how exploring ended before its last trial, in a sentence; None where it did not.
        seeds_added: whether further seeds have told the winner apart; None where none were to be added.
        warm_started: what each earlier sweep has brought that this one started from.
        front: where score and seconds were searched, the explored trials that no other beats in both, best score first.
    """

    dataset: str
    sweep: str
    outcome: Outcome
    decided_on: Split | None
    sentence: str
    failures: str | None
    winner: str | None
    control: str | None
    winner_objective: Estimate | None
    control_objective: Estimate | None
    gain: Estimate | None
    winner_test: Estimate | None
    control_test: Estimate | None
    test_gain: Estimate | None
    winner_failed: int
    control_failed: int
    edges: tuple[Edge, ...] = ()
    cut_short: str | None = None
    seeds_added: str | None = None
    warm_started: tuple[str, ...] = ()
    front: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What there is to say beside the outcome: how much was explored, over how many seeds, and what to widen."""
        return [
            *filter(None, (self.cut_short, *self.warm_started, self.seeds_added)),
            *(edge.sentence for edge in self.edges),
        ]

    @property
    def in_words(self) -> str:
        """The outcome, and what failed on the way there."""
        return self.sentence if self.failures is None else f"{self.sentence} {self.failures}"

    def edges_of(self, trial: str) -> list[Edge]:
        """Those of the winner's or the control's settings, by the trial of that configuration; of others none."""
        kinds = [kind for kind, name in ((Kind.BISSL, self.winner), (Kind.CONTROL, self.control)) if name == trial]
        return [edge for edge in self.edges if set(kinds) & set(edge.kinds)]


def verdicts(trials: Iterable[Row], storage: str | Path | None = None) -> list[Verdict]:
    """Judge every sweep, ordered by dataset and name.

    Args:
        trials: rows as `to_rows(read_trials(...))` gives them.
        storage: whose sweep.json says what was searched; None: nothing is said of edges.
    """
    configurations: dict[tuple[str, str], list[Configuration]] = defaultdict(list)
    for each in gather(trials):
        configurations[each.sweep].append(each)
    judged = []
    for sweep, own in sorted(configurations.items()):
        verdict = judge(own, sweep)
        judged.append(verdict if storage is None else with_notes(verdict, own, explored_of(own), storage))
    return judged


def with_notes(
    verdict: Verdict, configurations: Sequence[Configuration], explored: pa.Table, storage: str | Path
) -> Verdict:
    """A verdict with what there is to say beside it.

    Args:
        verdict: on a sweep.
        configurations: of it, at least those that have been tuned or confirmed.
        explored: its explore trials, in columns.
        storage: whose sweep.json says what was searched.
    """
    sweep = verdict.dataset, verdict.sweep
    best = best_bissl(configurations, sweep), best_control(configurations, sweep)
    # Takes long to import and read; before anything is confirmed the board does without.
    space = space_of_sweep(storage, sweep[1]) if any(best) else None
    confirming = any(c.tuning or c.seeds for c in configurations if c.head["step"] == Step.SEARCH)
    return replace(
        verdict,
        edges=tuple(edges_of_best(space, *best)),
        cut_short=cut_short(space, explored, confirming),
        seeds_added=seeds_added(space, configurations),
        warm_started=tuple(warm_started(explored)),
        front=front_of(space, explored),
    )


def judge(
    configurations: list[Configuration],
    sweep: tuple[str, str],
    where: str | None = None,
    of_control: tuple[str, str] | None = None,
    against: str | None = None,
) -> Verdict:
    """Judge one sweep.

    Args:
        configurations: as `gather` gives them; those of other sweeps are left aside.
        sweep: dataset and name.
        where: how the sentence names what was compared; None: by the dataset.
        of_control: dataset and name of the sweep that ran the control; None: the same.
        against: what sentences call the control; None: plain fine-tuning, or what the sweep itself is a control of.
    """
    where = sweep[0] if where is None else where
    winner, control = best_bissl(configurations, sweep), best_control(configurations, of_control or sweep)
    name = against or _PLAIN
    if control is not None and not control.scores:
        control = None
    gain = test_gain = None
    if winner is not None and control is not None:
        gain = paired_gain(winner.scores, control.scores)
        test_gain = paired_gain(winner.test_scores, control.test_scores)
    split: Split = "test" if _outcome(test_gain) != "unconfirmed" else "validation"
    deciding = test_gain if split == "test" else gain
    outcome = _outcome(deciding)
    failed = None
    if winner is not None and control is not None:
        failed = failures(
            where, winner, control, split, 0 if deciding is None else deciding.n, against or "fine-tuning"
        )
    if failed is not None and outcome == "wins":
        outcome = "wins_with_failures"
    if deciding is None or winner is None or control is None or outcome == "unconfirmed":
        explored = [c for c in configurations if c.kind == Kind.BISSL and c.sweep == sweep]
        sentence = unconfirmed(where, explored, winner, control, gain, name)
        own = control_of(configurations, sweep)
        if own is not None and of_control is None:
            sentence = alone(where, CONTROLS[own].title, control)
    else:
        sentence = decided(where, outcome, deciding, split, winner, control, name)
    return Verdict(
        dataset=sweep[0],
        sweep=sweep[1],
        outcome=outcome,
        decided_on=None if outcome == "unconfirmed" else split,
        sentence=sentence,
        failures=failed,
        winner=None if winner is None else winner.head["trial"],
        control=None if control is None else control.head["trial"],
        winner_objective=None if winner is None else winner.confirmed,
        control_objective=None if control is None else control.confirmed,
        gain=gain,
        winner_test=None if winner is None else estimate(list(winner.test_scores.values())),
        control_test=None if control is None else estimate(list(control.test_scores.values())),
        test_gain=test_gain,
        winner_failed=_failed(winner, split),
        control_failed=_failed(control, split),
    )


def _failed(configuration: Configuration | None, split: Split) -> int:
    return 0 if configuration is None else configuration.failed_seeds(split == "test")


def _outcome(gain: Estimate | None) -> Outcome:
    if gain is None or gain.low is None or gain.high is None:
        return "unconfirmed"
    if gain.low > 0:
        return "wins"
    return "loses" if gain.high < 0 else "no_difference"
