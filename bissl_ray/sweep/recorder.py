"""Tune's callback of ours: what happens goes to the store, to Optuna, to the planner and to the live view."""

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from statistics import fmean
from typing import Any, Protocol

from ray import tune
from ray.tune.experiment import Trial

from bissl_ray.config.settings import Settings
from bissl_ray.leaderboard.live import SweepProgress
from bissl_ray.search.planner import TEST_STAGES, Plan, Planner
from bissl_ray.search.proposals import Proposals
from bissl_ray.search.records import Record, Status
from bissl_ray.store import REPORT_COLUMNS, SweepWriter
from bissl_ray.workers.mailbox import MOST_ATTEMPTS
from bissl_ray.workers.trainable import OVER

_STORAGE_FULL = re.compile(r"No space left on device|Disk quota exceeded|QuotaExceeded")
_PHASES = {
    "search": "exploring",
    "tuning": "searching fine-tuning",
    "seeds": "confirming over seeds",
    "test": "one look at the test split",
}
_RESULT_COLUMNS = (
    "seconds",
    "gpu_seconds",
    "workers",
    "attempts",
    "hvps",
    "cg_residual",
    "negative_curvature",
    "implicit_change",
    "embedding_std",
    "embedding_rank",
    "alternations",
    "checkpoint",
    "objective_name",
)


class LiveView(Protocol):
    """What shows the sweep's progress."""

    def update(self, progress: SweepProgress) -> None:
        """Show this."""
        ...


class Recorder(tune.Callback):  # type: ignore[misc]
    """Hears of every start, report and end, in the driver."""

    def __init__(
        self,
        planner: Planner,
        proposals: Proposals,
        plans: dict[str, Plan],
        writer: SweepWriter,
        view: LiveView,
        settings_of: Callable[[Record], Settings],
        discard: Callable[[Record], None],
        give_up: Callable[[str], None],
        constants: Mapping[str, Any],
        slots: int,
    ):
        """Set up.

        Args:
            planner: told of every end.
            proposals: told of every report and end of an explore trial.
            plans: the searcher's plans in flight, by Tune's trial identifier; an ended one is taken out here.
            writer: of the sweep's Parquet files.
            view: shows progress.
            settings_of: the full settings of a trial.
            discard: called for a trial that was stopped or failed: nobody goes on from its checkpoint.
            give_up: called with the reason when every further trial would fail as well.
            constants: columns that are alike for all trials of this process: git, versions, workers.
            slots: trials that run at a time, for the estimate of the time left.
        """
        self._planner = planner
        self._proposals = proposals
        self._plans = plans
        self._writer = writer
        self._view = view
        self._settings_of = settings_of
        self._discard = discard
        self._give_up = give_up
        self._constants = dict(constants)
        self._slots = slots
        self._begin = time.monotonic()
        self._losses: Counter[str] = Counter()
        self._durations: dict[str, list[float]] = {}
        self.doing: str | None = None
        """What trials wait for before they begin, in words; None: nothing."""

    # Tune calls these

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Write the trial's row."""
        plan = self._plans.get(trial.trial_id)
        if plan is None or plan.stages == TEST_STAGES:
            return
        record = plan.record
        parameters = self._settings_of(record).model_dump()
        self._writer.trial(
            {
                "trial": record.trial,
                "status": "running",
                "status_reason": None,
                "phase": record.phase,
                "step": record.step,
                "parent": record.parent,
                "origin": record.origin,
                "seed": record.seed,
                "started_at": datetime.now(UTC),
                **self._constants,
                **{f"param_{name}": value for name, value in parameters.items()},
            }
        )
        self.show()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Write the report's row, and pass its objective on."""
        plan = self._plans.get(trial.trial_id)
        if plan is None or OVER in result:
            return
        record, objective = plan.record, result.get("objective")
        row = {name: result[name] for name in REPORT_COLUMNS if name in result}
        self._writer.report({**row, "trial": record.trial, "reported_at": datetime.now(UTC)})
        if record.step == "search" and objective is not None:
            record.curve[result["alternation"]] = objective
            self._proposals.report(record.trial, result["alternation"], objective)
        record.objective = objective
        # A trial that is stopped, fails or is lost after this keeps what it has come to and cost.
        so_far = {name: value for name, value in result["so_far"].items() if name in _RESULT_COLUMNS}
        self._writer.trial({"trial": record.trial, "objective": objective, **so_far})
        self.show()

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Say how the trial ended: to its end, stopped by itself or by ASHA, failed, or interrupted with the sweep."""
        result = trial.last_result or {}
        over = result.get(OVER)
        if over == "complete":
            self._ended(trial, "complete", None, result)
        elif over in ("pruned", "failed"):
            self._ended(trial, over, result["reason"], result)
        elif result.get("done"):
            rung = f"ASHA: behind at alternation {result.get('alternation')}"
            self._ended(trial, "pruned", rung, {**result, **result["so_far"]})
        elif (plan := self._plans.pop(trial.trial_id, None)) is not None and plan.stages != TEST_STAGES:
            # Stays "running": resuming takes it up from its own checkpoint.
            self._writer.trial({"trial": plan.record.trial, "status_reason": "interrupted; goes on with resume"})

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial whose worker group is lost, with its process or its machine: not the trial's fault.

        It goes on from its own checkpoint, as when a worker of several is lost, and is failed after so many times.
        """
        error = trial.get_error()
        text = " ".join(str(error).split())[-300:] if error else "unknown"
        plan = self._plans.get(trial.trial_id)
        if plan is None:
            return
        self._losses[plan.record.trial] += 1
        if self._losses[plan.record.trial] < MOST_ATTEMPTS:
            self._plans.pop(trial.trial_id)
            self._planner.ended(plan)
        else:
            self._ended(trial, "failed", f"its worker group was lost {MOST_ATTEMPTS} times: {text}", {})

    # Ours

    def _ended(self, trial: Trial, status: Status, reason: str | None, result: Mapping[str, Any]) -> None:
        plan = self._plans.pop(trial.trial_id, None)
        if plan is None:
            return
        record = plan.record
        if status == "failed" and _STORAGE_FULL.search(reason or ""):
            # Not the trial's fault: it stays "running", and resuming takes it up again.
            self._give_up(f"the storage is full ({record.trial} could not write: {reason})")
            if plan.stages != TEST_STAGES:
                self._writer.trial({"trial": record.trial, "status_reason": f"interrupted: {reason}"})
            return
        if plan.stages == TEST_STAGES:
            self._tested(record, status, reason, result)
        else:
            self._run_ended(record, status, reason, result)
        self._planner.ended(plan)
        self.show()

    def _tested(self, record: Record, status: Status, reason: str | None, result: Mapping[str, Any]) -> None:
        row: dict[str, Any] = {"trial": record.trial}
        if status == "complete":
            record.test_metric = result["test_metric"]
        else:
            # NaN in memory only: asked once, and not again before the sweep is resumed.
            record.test_metric = math.nan
            row["status_reason"] = f"the test split could not be scored: {reason}"
        self._writer.trial({**row, "test_metric": record.test_metric if status == "complete" else None})

    def _run_ended(self, record: Record, status: Status, reason: str | None, result: Mapping[str, Any]) -> None:
        objective = result.get("objective", record.objective)
        if status == "complete" and (objective is None or not math.isfinite(objective)):
            status, reason = "failed", f"the objective is {objective}"
        record.status = status
        record.objective = objective
        if record.step == "search":
            self._proposals.tell(record)
        if status != "complete":
            with suppress(OSError):  # a storage that refuses for a moment: a file too many is left behind
                self._discard(record)
        if status == "complete" and result.get("seconds") is not None:
            self._durations.setdefault(record.step, []).append(result["seconds"])
        self._writer.trial(
            {
                "trial": record.trial,
                "status": status,
                "status_reason": reason,
                "objective": objective,
                "ended_at": datetime.now(UTC),
                **{name: result[name] for name in _RESULT_COLUMNS if name in result},
            }
        )

    def show(self) -> None:
        """Bring the live view up to date."""
        records = list(self._planner.records.values())
        count = {status: sum(r.status == status for r in records) for status in ("running", "pruned", "failed")}
        scored = [record for record in records if record.scored]
        best = max((r for r in scored if r.step == "search"), key=lambda r: r.objective or 0.0, default=None)
        self._view.update(
            SweepProgress(
                phase=_PHASES[self._planner.phase()],
                total=self._planner.expected,
                done=sum(record.ended for record in records),
                running=count["running"],
                pruned=count["pruned"],
                failed=count["failed"],
                elapsed=time.monotonic() - self._begin,
                left=self._left(records),
                best=(best.trial, best.objective) if best is not None and best.objective is not None else None,
                trials=self._writer.trials,
                trouble=self._writer.trouble,
                doing=self.doing,
            )
        )

    def _left(self, records: list[Record]) -> float | None:
        """Seconds left, from the mean durations so far; None before there are any."""
        if not self._durations:
            return None
        anything = fmean(value for values in self._durations.values() for value in values)
        mean = {step: fmean(values) for step, values in self._durations.items()}
        to_do = max(self._planner.expected - sum(record.ended for record in records), 0)
        running = [record for record in records if not record.ended]
        expected = sum(mean.get(record.step, anything) / 2 for record in running)
        return (expected + (to_do - len(running)) * anything) / self._slots
