"""What becomes of a sweep's trials, written into its store; Optuna's study and the records are told the same."""

import math
from collections.abc import Mapping
from typing import Any, Final

from bissl_ray.config.columns import to_columns
from bissl_ray.search.records import Record
from bissl_ray.store import REPORT_COLUMNS
from bissl_ray.store.documents import git_state, versions
from bissl_ray.store.schema import ALIGNMENT_COLUMNS, Row, report_key
from bissl_ray.sweep.searcher import InFlight, Running
from bissl_ray.words import Status, Step
from bissl_ray.world import world

_AGAIN_S: Final = 5.0
RESULT_COLUMNS = (
    "seconds",
    "gpu_seconds",
    "peak_memory",
    "workers",
    "device",
    "threads",
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
"""Of what a trial has come to, those that its row has a column for."""


class Rows:
    """Writes them, in the driver."""

    def __init__(self, flight: InFlight) -> None:
        self._flight, self._writer = flight, flight.writer
        self._behind: list[tuple[Record, Mapping[str, Any]]] = []
        self._next_try = 0.0

    @property
    def wait(self) -> bool:
        """Whether some can't be written yet that may be in a while."""
        return self._writer.waits or bool(self._behind)

    def began(self, running: Running) -> None:
        """A trial runs, from its beginning or on."""
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
                # Trials are replayed in the order in which they were proposed, not in that of their going on.
                **({} if record.curve else {"started_at": self._writer.stamp()}),
                "git": git_state(),
                "versions": versions(),
                # What the workers run, never the point that proposed it: of the control the two differ.
                **to_columns(order.settings),
            }
        )

    def reported(self, record: Record, result: Row) -> None:
        """It has made a report; stopped, failed or lost after that, it keeps what it has come to and cost."""
        self.catch_up(record, result)
        self._report(record, result)
        if record.step == Step.SEARCH and (result.get("alternation") or record.at) < record.at:
            # It repeats what the driver before had heard after its last checkpoint: its row does not go back.
            return
        record.objective = result.get("objective")
        so_far = {name: value for name, value in result["so_far"].items() if name in RESULT_COLUMNS}
        self._writer.trial({"trial": record.trial, "objective": record.objective, **so_far})

    def ended(self, record: Record, status: Status, reason: str | None, result: Mapping[str, Any]) -> None:
        """It has run to its end, or has stopped, failed or paused."""
        objective = result.get("objective", record.objective)
        if status == Status.COMPLETE and (objective is None or not math.isfinite(objective)):
            status, reason = Status.FAILED, f"the objective is {objective}"
        if (spared := result.get("spared")) is not None:
            note = f"{spared.partition('; ')[0]}, and was run again with what can be recomputed"
            reason = note if reason is None else f"{reason}; {note}"
        record.status = status
        record.objective = objective
        record.seconds = result.get("seconds", record.seconds)
        if record.step == Step.SEARCH:
            self._flight.proposals.tell(record)
        # A driver that is killed before the row is on disk has the trial go on from what it has saved, and tell again.
        done = None if status == Status.PAUSED else self._flight.progress_of(record.trial).clear
        self._writer.trial(
            {
                "trial": record.trial,
                "status": status,
                "status_reason": reason,
                "objective": objective,
                "ended_at": None if status == Status.PAUSED else self._writer.stamp(),
                **{name: result[name] for name in RESULT_COLUMNS if name in result},
            },
            then=done,
        )

    def ended_at_a_rung(self, record: Record, reason: str) -> None:
        """It has ended where it had paused."""
        ended = {"status": Status.PRUNED, "status_reason": reason, "ended_at": self._writer.stamp()}
        # Its last row may be older than its last report, where the driver before was killed between the two.
        come_to = {"alternations": record.at, "objective": record.objective, "seconds": record.seconds}
        done = self._flight.progress_of(record.trial).clear
        self._writer.trial({"trial": record.trial, **come_to, **ended}, then=done)

    def interrupted(self, record: Record, reason: str) -> None:
        """It stays "running": resuming takes it up from its own checkpoint."""
        self._writer.trial({"trial": record.trial, "status_reason": reason})

    def tested(self, record: Record, status: Status, reason: str | None, result: Mapping[str, Any]) -> None:
        """Its look at the test split is over."""
        if status == Status.COMPLETE:
            record.test_metric = result["test_metric"]
            self._writer.trial({"trial": record.trial, "test_metric": record.test_metric})
            return
        # NaN in memory only: asked once, and not again before the sweep is resumed.
        record.test_metric = math.nan
        problem = f"the test split could not be scored: {reason}"
        self._writer.trial({"trial": record.trial, "test_metric": None, "status_reason": problem})

    def catch_up(self, record: Record, result: Mapping[str, Any]) -> None:
        """Write down what a trial that goes on had told before, where a driver heard it that was killed too soon."""
        heard = {("bissl", alternation) for alternation in record.curve}
        earlier = [row for row in result.get("earlier", ()) if (row["stage"], row.get("alternation")) not in heard]
        if not earlier:
            return
        try:
            written = self._writer.reported(record.trial)
        except OSError:  # it can't be read at the moment
            self._behind.append((record, result))
            return
        for row in earlier:
            if report_key(row) not in written:
                self._report(record, row)

    def settle_behind(self) -> None:
        """Catch up with what could not be while the storage refused."""
        if self._behind and self._writer.trouble is None and world().monotonic() >= self._next_try:
            self._next_try = world().monotonic() + _AGAIN_S
            behind, self._behind = self._behind, []
            for record, result in behind:
                self.catch_up(record, result)

    def _report(self, record: Record, row: Row) -> None:
        own = {name: row[name] for name in REPORT_COLUMNS if name in row}
        self._writer.report({**own, "trial": record.trial})
        objective = row.get("objective")
        if record.step == Step.SEARCH and objective is not None:
            record.curve[row["alternation"]] = objective
            self._flight.proposals.report(record.trial, row["alternation"], objective)
