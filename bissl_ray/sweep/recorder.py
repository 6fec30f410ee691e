"""Tune's callback of ours: what happens goes to the store, to Optuna, to the planner and to the live view."""

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from statistics import fmean
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from bissl_ray.config.columns import to_columns
from bissl_ray.progress import SweepProgress, View
from bissl_ray.search.records import Record
from bissl_ray.store import REPORT_COLUMNS
from bissl_ray.store.documents import git_state, versions
from bissl_ray.store.schema import ALIGNMENT_COLUMNS, Row
from bissl_ray.sweep.searcher import InFlight
from bissl_ray.training.files import SavedProgress
from bissl_ray.training.order import Order
from bissl_ray.words import Status, Step
from bissl_ray.workers.group import OVER
from bissl_ray.workers.mailbox import MOST_ATTEMPTS

_STORAGE_FULL = re.compile(r"No space left on device|Disk quota exceeded|QuotaExceeded")
_PHASES = {
    Step.SEARCH: "exploring",
    Step.TUNING: "searching fine-tuning",
    Step.SEEDS: "confirming over seeds",
    Step.TEST: "one look at the test split",
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
    *ALIGNMENT_COLUMNS,
    "moved",
    "alternations",
    "checkpoint",
    "objective_name",
)


class Recorder(tune.Callback):  # type: ignore[misc]
    """Hears of every start, report and end, in the driver."""

    def __init__(self, flight: InFlight, view: View, give_up: Callable[[str], None]):
        """Set up.

        Args:
            flight: the sweep under way.
            view: shows progress.
            give_up: called with the reason when every further trial would fail as well.
        """
        self._flight = flight
        self._planner, self._writer = flight.planner, flight.writer
        self._view = view
        self._give_up = give_up
        self._begin = time.monotonic()
        self._losses: Counter[str] = Counter()
        self._durations: dict[str, list[float]] = {}
        self.doing: str | None = None
        """What trials wait for before they begin, in words; None: nothing."""

    # Tune calls these

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Write the trial's row."""
        running = self._flight.running.get(trial.trial_id)
        if running is None or running.plan.step == Step.TEST:
            return
        record, order = running.plan.record, running.order
        self._writer.trial(
            {
                "trial": record.trial,
                "status": Status.RUNNING,
                "status_reason": None,
                "phase": record.phase,
                "step": record.step,
                "parent": record.parent,
                "control": order.control,
                "origin": record.origin,
                "seed": record.seed,
                "labels_per_class": order.data.labels_per_class,
                "label_draw": order.data.label_draw,
                "started_at": datetime.now(UTC),
                "git": git_state(),
                "versions": versions(),
                # What the workers run, never the point that proposed it: of the control the two differ.
                **to_columns(order.settings),
            }
        )
        self.show()

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: Row, **info: Any) -> None:
        """Write the report's row, and pass its objective on."""
        running = self._flight.running.get(trial.trial_id)
        if running is None or OVER in result:
            return
        record, objective = running.plan.record, result.get("objective")
        row = {name: result[name] for name in REPORT_COLUMNS if name in result}
        self._writer.report({**row, "trial": record.trial, "reported_at": datetime.now(UTC)})
        if record.step == Step.SEARCH and objective is not None:
            record.curve[result["alternation"]] = objective
            self._flight.proposals.report(record.trial, result["alternation"], objective)
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
            self._ended(trial, Status.COMPLETE, None, result)
        elif over in ("pruned", "failed"):
            self._ended(trial, Status(over), result["reason"], result)
        elif result.get("done"):
            rung = f"ASHA: behind at alternation {result.get('alternation')}"
            self._ended(trial, Status.PRUNED, rung, {**result, **result["so_far"]})
        elif (running := self._flight.running.pop(trial.trial_id, None)) and running.plan.step != Step.TEST:
            # Stays "running": resuming takes it up from its own checkpoint.
            reason = "interrupted; goes on with resume"
            self._writer.trial({"trial": running.plan.record.trial, "status_reason": reason})

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial whose worker group is lost, with its process or its machine: not the trial's fault.

        It goes on from its own checkpoint, as when a worker of several is lost, and is failed after so many times.
        """
        error = trial.get_error()
        text = " ".join(str(error).split())[-300:] if error else "unknown"
        running = self._flight.running.get(trial.trial_id)
        if running is None:
            return
        lost = running.plan.record.trial
        self._losses[lost] += 1
        if self._losses[lost] < MOST_ATTEMPTS:
            self._flight.running.pop(trial.trial_id)
            self._planner.ended(running.plan)
        else:
            self._ended(trial, Status.FAILED, f"its worker group was lost {MOST_ATTEMPTS} times: {text}", {})

    # Ours

    def _ended(self, trial: Trial, status: Status, reason: str | None, result: Mapping[str, Any]) -> None:
        running = self._flight.running.pop(trial.trial_id, None)
        if running is None:
            return
        plan, order = running
        record = plan.record
        if status == Status.FAILED and _STORAGE_FULL.search(reason or ""):
            # Not the trial's fault: it stays "running", and resuming takes it up again.
            self._give_up(f"the storage is full ({record.trial} could not write: {reason})")
            if plan.step != Step.TEST:
                self._writer.trial({"trial": record.trial, "status_reason": f"interrupted: {reason}"})
            return
        if plan.step == Step.TEST:
            self._tested(record, status, reason, result)
        else:
            self._run_ended(record, order, status, reason, result)
        self._planner.ended(plan)
        self.show()

    def _tested(self, record: Record, status: Status, reason: str | None, result: Mapping[str, Any]) -> None:
        if status == Status.COMPLETE:
            record.test_metric = result["test_metric"]
            self._writer.trial({"trial": record.trial, "test_metric": record.test_metric})
            return
        # NaN in memory only: asked once, and not again before the sweep is resumed.
        record.test_metric = math.nan
        problem = f"the test split could not be scored: {reason}"
        self._writer.trial({"trial": record.trial, "test_metric": None, "status_reason": problem})

    def _run_ended(
        self, record: Record, order: Order, status: Status, reason: str | None, result: Mapping[str, Any]
    ) -> None:
        objective = result.get("objective", record.objective)
        if status == Status.COMPLETE and (objective is None or not math.isfinite(objective)):
            status, reason = Status.FAILED, f"the objective is {objective}"
        record.status = status
        record.objective = objective
        if record.step == Step.SEARCH:
            self._flight.proposals.tell(record)
        if status != Status.COMPLETE:
            with suppress(OSError):  # a storage that refuses for a moment: a file too many is left behind
                SavedProgress(order.storage, order.folder).clear()
        if status == Status.COMPLETE and result.get("seconds") is not None:
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
        count = Counter(record.status for record in records)
        scored = [record for record in records if record.scored]
        best = max((r for r in scored if r.step == Step.SEARCH), key=lambda r: r.objective or 0.0, default=None)
        self._view.show(
            SweepProgress(
                phase=_PHASES[self._planner.step()],
                total=self._planner.expected,
                done=sum(record.ended for record in records),
                running=count[Status.RUNNING],
                pruned=count[Status.PRUNED],
                failed=count[Status.FAILED],
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
        return (expected + (to_do - len(running)) * anything) / self._flight.slots
