"""What the sweep knows of one trial: the store's row and curve, in the form that decisions need."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bissl_ray.config.columns import settings_of_row
from bissl_ray.config.parameters import Point
from bissl_ray.words import ALIGNING, Phase, Status, Step


@dataclass
class Record:
    """One trial, running or ended.

    Attributes:
        trial: name, unique in the sweep.
        phase: what it is for.
        step: of the sweep's protocol; a look at the test split is no trial of its own.
        parent: the trial it came from; None for explore and the control's tuning.
        seed: the run's seed.
        point: the settings that make this trial differ from the sweep's fixed ones.
        origin: who proposed it.
        status: how it stands.
        objective: validation metric, in [0, 1]; None until reported.
        test_metric: the same metric on the test split; None unless this run was looked at there.
        curve: objective after each alternation.
        seconds: that it has taken; None where that is not known.
    """

    trial: str
    phase: Phase
    step: Step
    parent: str | None
    seed: int
    point: Point
    origin: str
    status: Status = Status.RUNNING
    objective: float | None = None
    test_metric: float | None = None
    curve: dict[int, float] = field(default_factory=dict)
    seconds: float | None = None

    @property
    def began_at(self) -> int:
        """The alternation after which it took over from another; 0: it began at the beginning."""
        return began_at(self.trial, self.step)

    @property
    def at(self) -> int:
        """The alternation that it has come to."""
        return max(self.curve, default=self.began_at)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status not in (Status.RUNNING, Status.PAUSED)

    @property
    def scored(self) -> bool:
        """Whether it ran to its end with a finite objective."""
        return self.status == Status.COMPLETE and self.objective is not None and math.isfinite(self.objective)


def began_at(trial: str, step: str) -> int:
    """The alternation after which a trial of that name took over from another; 0: it began at the beginning."""
    after = trial.partition("-")[2]
    return int(after) if step == Step.SEARCH and after.isdecimal() else 0


def records_from_store(trials: Iterable[Mapping[str, Any]], reports: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Rebuild the records from the rows of the store, in the order in which the trials were proposed."""
    records, trials = {}, list(trials)
    for row in sorted(trials, key=lambda row: (row["started_at"], row["trial"])):
        records[row["trial"]] = Record(
            trial=row["trial"],
            phase=Phase(row["phase"]),
            step=Step(row["step"]),
            parent=row["parent"],
            seed=row["seed"],
            point=settings_of_row(row),
            origin=row["origin"],
            status=Status(row["status"]),
            objective=row["objective"],
            test_metric=row["test_metric"],
            seconds=row["seconds"],
        )
    rows = {row["trial"]: row for row in trials}
    for row in reports:
        known = records.get(row["trial"])
        if known is not None and row["stage"] in ALIGNING and row["objective"] is not None:
            known.curve[row["alternation"]] = row["objective"]
            if not known.ended and row["alternation"] == known.at > (rows[known.trial].get("alternations") or 0):
                # A report is on disk before the row that says what its trial has come to by it.
                known.objective, known.seconds = row["objective"], row["seconds"]
    return list(records.values())
