"""What the sweep knows of one trial: the store's row and curve, in the form that decisions need."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Literal, get_args

from bissl_ray.config.settings import Settings

Phase = Literal["explore", "confirm", "control"]
Step = Literal["search", "tuning", "seeds"]
Status = Literal["running", "complete", "pruned", "failed"]

# Elsewhere a null says that the row is from before the setting was there.
_NULLABLE = {f"param_{name}" for name, f in Settings.model_fields.items() if NoneType in get_args(f.annotation)}


@dataclass
class Record:
    """One trial, running or ended.

    Attributes:
        trial: name, unique in the sweep.
        phase: explore, confirm or control (DESIGN section 6).
        step: "search" an explore trial; "tuning" a fine-tuning run at one (learning rate, weight decay);
            "seeds" a full confirmation run with one seed.
        parent: the trial it came from; None for explore and the control's tuning.
        seed: the run's seed.
        point: the settings that make this trial differ from the sweep's fixed ones.
        origin: who proposed it: known_good, the sampler's name, fixed, tuning, seeds.
        status: running, complete, pruned or failed.
        objective: validation metric, in [0, 1]; None until reported.
        test_metric: the same metric on the test split; None unless this run was looked at there.
        curve: objective after each alternation.
    """

    trial: str
    phase: Phase
    step: Step
    parent: str | None
    seed: int
    point: dict[str, Any]
    origin: str
    status: Status = "running"
    objective: float | None = None
    test_metric: float | None = None
    curve: dict[int, float] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status != "running"

    @property
    def scored(self) -> bool:
        """Whether it ran to its end with a finite objective."""
        return self.status == "complete" and self.objective is not None and math.isfinite(self.objective)


def records_from_store(trials: Iterable[Mapping[str, Any]], reports: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Rebuild the records from the rows of the store, in the order in which the trials were proposed.

    Args:
        trials: rows as of `bissl_ray.store.read_trials`, one per trial.
        reports: rows as of `bissl_ray.store.read_reports`.
    """
    records = {}
    for row in sorted(trials, key=lambda row: (row["started_at"], row["trial"])):
        point = {
            name.removeprefix("param_"): value
            for name, value in row.items()
            if name.startswith("param_") and (value is not None or name in _NULLABLE)
        }
        records[row["trial"]] = Record(
            trial=row["trial"],
            phase=row["phase"],
            step=row["step"],
            parent=row["parent"],
            seed=row["seed"],
            point=point,
            origin=row["origin"],
            status=row["status"],
            objective=row["objective"],
            test_metric=row["test_metric"],
        )
    for row in reports:
        known = records.get(row["trial"])
        if known is not None and row["stage"] == "bissl" and row["objective"] is not None:
            known.curve[row["alternation"]] = row["objective"]
    return list(records.values())
