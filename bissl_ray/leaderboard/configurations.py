"""Gathers the runs of a sweep into configurations: what is compared on the board.

A configuration is an explore trial with the fine-tuning runs that tune and confirm it, or one
fine-tuning point of the control with the seeds that confirm it.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from bissl_ray.controls import PLAIN
from bissl_ray.statistics import Estimate, estimate
from bissl_ray.store.schema import Row
from bissl_ray.winner import Contender, place, winner
from bissl_ray.words import Kind, Phase, Status, Step


@dataclass(frozen=True)
class Configuration:
    """One configuration and all its runs.

    Attributes:
        kind: BiSSL, or what it is compared with.
        head: row of the explore trial, or of the control's fine-tuning point.
        tuning: rows of the fine-tuning runs that tune it.
        seeds: rows of the runs that confirm it, one per seed.
    """

    kind: Kind
    head: Row
    tuning: tuple[Row, ...]
    seeds: tuple[Row, ...]

    @property
    def sweep(self) -> tuple[str, str]:
        """Dataset and sweep."""
        return self.head["dataset"], self.head["sweep"]

    @property
    def scores(self) -> dict[int, float]:
        """Seed -> objective of each finished confirmation run."""
        return self._by_seed("objective")

    @property
    def test_scores(self) -> dict[int, float]:
        """Seed -> metric on the test split, for those that touched it."""
        return self._by_seed("test_metric")

    @property
    def confirmed(self) -> Estimate | None:
        """Mean objective over seeds; None before any confirmation run has finished."""
        return estimate(list(self.scores.values()))

    @property
    def explored(self) -> float | None:
        """Objective of the head by itself; None where it has none yet, or failed.

        Of a fine-tuning point of the control that ran on several seeds, the mean of those that have one.
        """
        if self.head["status"] == Status.FAILED:
            return None
        runs = (self.head, *self.tuning) if self.head["step"] == Step.TUNING else (self.head,)
        scores = [finite(run["objective"]) for run in runs if run["status"] != Status.FAILED]
        known = [score for score in scores if score is not None]
        return fmean(known) if known else None

    @property
    def objective_name(self) -> str | None:
        """What the objective is called; None where no run has one."""
        runs = self.seeds or (self.head,)
        return next((run["objective_name"] for run in runs if run["objective_name"] is not None), None)

    @property
    def contender(self) -> Contender:
        """What the rule of who wins looks at."""
        return Contender(self.head["trial"], tuple(self.scores.values()), self.explored)

    def failed_seeds(self, on_test: bool) -> int:
        """Count the seeds that ended without a score.

        Args:
            on_test: whether a look at the test split that gave no number counts as well.
        """
        scores = self.scores
        return sum(
            (row["status"] != Status.RUNNING and row["seed"] not in scores)
            or (on_test and row["test_metric"] is not None and finite(row["test_metric"]) is None)
            for row in self.seeds
        )

    @property
    def runs(self) -> tuple[Row, ...]:
        """Every run: the head, tuning, seeds."""
        return self.head, *self.tuning, *self.seeds

    def _by_seed(self, column: str) -> dict[int, float]:
        finished = (row for row in self.seeds if row["status"] == Status.COMPLETE and row["seed"] is not None)
        scores = ((row["seed"], finite(row[column])) for row in finished)
        return {seed: score for seed, score in scores if score is not None}


def finite(value: float | None) -> float | None:
    """Return the value if it is a number, else None: a diverged run has no score."""
    return value if value is not None and math.isfinite(value) else None


def gather(trials: Iterable[Row]) -> list[Configuration]:
    """Gather the rows of any number of sweeps into configurations, in the order of the rows.

    A run whose parent has no row stands as a configuration of its own.

    Args:
        trials: rows as `to_rows(read_trials(...))` gives them.
    """
    rows = list(trials)
    names = {(row["dataset"], row["sweep"], row["trial"]) for row in rows}
    children: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    heads = []
    for row in rows:
        parent = (row["dataset"], row["sweep"], row["parent"])
        if row["parent"] is not None and parent in names:
            children[parent].append(row)
        else:
            heads.append(row)
    return [_configuration(head, children[head["dataset"], head["sweep"], head["trial"]]) for head in heads]


def best_control(configurations: Iterable[Configuration], sweep: tuple[str, str]) -> Configuration | None:
    """Pick the control of a sweep: its best confirmed point, else its best point so far."""
    controls = [c for c in configurations if c.kind == Kind.CONTROL and c.sweep == sweep]
    return min(controls, key=lambda c: place(c.contender), default=None)


def control_of(configurations: Iterable[Configuration], sweep: tuple[str, str]) -> str | None:
    """What a sweep runs alone, for a comparison: a name of `controls.CONTROLS`; None of one that runs BiSSL."""
    names = {c.head["control"] for c in configurations if c.sweep == sweep}
    return names.pop() if len(names) == 1 and names.isdisjoint({None, PLAIN}) else None


def best_bissl(configurations: Iterable[Configuration], sweep: tuple[str, str]) -> Configuration | None:
    """Pick the winner of a sweep: its best confirmed configuration, if there is one."""
    candidates = {c.head["trial"]: c for c in configurations if c.kind == Kind.BISSL and c.sweep == sweep}
    best = winner(c.contender for c in candidates.values())
    return None if best is None else candidates[best.name]


def _configuration(head: Row, children: Sequence[Row]) -> Configuration:
    own = (head,) if head["step"] == Step.SEEDS else ()
    return Configuration(
        kind=Kind.CONTROL if head["phase"] == Phase.CONTROL or head["control"] is not None else Kind.BISSL,
        head=head,
        tuning=tuple(row for row in children if row["step"] == Step.TUNING),
        seeds=own + tuple(row for row in children if row["step"] == Step.SEEDS),
    )
