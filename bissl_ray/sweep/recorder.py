"""Tune's callback of ours: what happens goes to the store, to Optuna, to the planner and to the live view."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from ray import tune
from ray.tune.experiment import Trial

from bissl_ray.config.columns import to_columns
from bissl_ray.progress import Note, SweepProgress, View
from bissl_ray.search.forecast import Climb, Forecast, Underway
from bissl_ray.search.records import Record
from bissl_ray.store import REPORT_COLUMNS
from bissl_ray.store.documents import git_state, versions
from bissl_ray.store.filesystem import reason as words_of
from bissl_ray.store.schema import ALIGNMENT_COLUMNS, Row, report_key
from bissl_ray.sweep.losses import had_no_room, why_lost
from bissl_ray.sweep.searcher import InFlight
from bissl_ray.sweep.silence import Silence
from bissl_ray.training.sparing import once_more
from bissl_ray.words import Status, Step
from bissl_ray.workers.group import ALIVE, OVER, end_at_once
from bissl_ray.workers.mailbox import MOST_ATTEMPTS
from bissl_ray.workers.ray_log import pointer
from bissl_ray.world import world

_STORAGE_REFUSES = re.compile(r"StorageRefusedError|No space left on device|Disk quota exceeded|QuotaExceeded")
_LOOK_S: Final = 1.0
_AGAIN_S: Final = 5.0
_PAUSES: Final = 10
"""Times that drawing took, from one picture to the next."""
_PHASES = {
    Step.SEARCH: "exploring",
    Step.TUNING: "searching fine-tuning",
    Step.SEEDS: "confirming over seeds",
    Step.TEST: "one look at the test split",
}
_RESULT_COLUMNS = (
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


class Recorder(tune.Callback):  # type: ignore[misc]
    """Hears of every start, report and end, in the driver."""

    def __init__(
        self, flight: InFlight, forecast: Forecast, silence: Silence, view: View, give_up: Callable[[str], None]
    ):
        """Set up.

        Args:
            flight: the sweep under way.
            forecast: says how long it still takes; learns from every run.
            silence: tells which runs have hung.
            view: shows progress.
            give_up: called with the reason when every further trial would fail as well.
        """
        self._flight = flight
        self._planner, self._writer = flight.planner, flight.writer
        self._view = view
        self._give_up = give_up
        self._forecast = forecast
        self._silence = silence
        self._hung: dict[str, str] = {}
        self._left: dict[str, str] = {}
        self._waiting: dict[str, str] = {}
        self._attempts: dict[str, int] = {}
        self._behind: list[tuple[Record, Mapping[str, Any]]] = []
        self._next_try = 0.0
        self._begin = world().monotonic()
        self._losses: Counter[str] = Counter()
        self._since: dict[str, float] = {}
        self._climbs: dict[str, Climb] = {}
        self._objective_name: str | None = None
        self._iteration = 0
        self._news_since: int | None = None
        self._next_look = 0.0
        self._said: set[str] = set()
        self.doing: str | None = None
        """What trials wait for before they begin, in words; None: nothing."""

    # Tune calls these

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Write the trial's row."""
        self._since[trial.trial_id] = world().monotonic()
        running = self._flight.running.get(trial.trial_id)
        if running is None:
            return
        self._silence.began(trial.trial_id, running.plan.kind)
        if running.plan.step == Step.TEST:
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
                # Trials are replayed in the order in which they were proposed, not in that of their going on.
                **({} if record.curve else {"started_at": world().now()}),
                "git": git_state(),
                "versions": versions(),
                # What the workers run, never the point that proposed it: of the control the two differ.
                **to_columns(order.settings),
            }
        )
        self.show()

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: Row, **info: Any) -> None:
        """Write the report's row, and pass its objective on; or take a sign of life for what it is."""
        running = self._flight.running.get(trial.trial_id)
        if running is None:
            return
        if ALIVE in result:
            self._waits(trial, running.plan.record.trial, result[ALIVE])
            return
        self._waiting.pop(trial.trial_id, None)
        self._silence.reported(trial.trial_id)
        if OVER in result:
            return
        self._tell_attempt(running.plan.record.trial, result)
        record, objective = running.plan.record, result.get("objective")
        self._catch_up(record, result)
        self._reported(record, result)
        if record.step == Step.SEARCH:
            self._climbs[trial.trial_id] = self._climbed(trial)
        record.objective = objective
        self._objective_name = result["so_far"].get("objective_name", self._objective_name)
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
        elif over == "paused":
            self._ended(trial, Status.PAUSED, "paused: goes on if it is among the best that come as far", {})
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

        It goes on from its own checkpoint, as when a worker of several is lost, and is failed after so many times. To
        leave a machine that will be taken away, or to find no room, is no attempt.
        """
        hung = self._hung.pop(trial.trial_id, None)
        running = self._flight.running.get(trial.trial_id)
        if running is None:
            return
        lost, why = running.plan.record.trial, hung or why_lost(trial)
        left, no_room = self._left.pop(trial.trial_id, None), had_no_room(trial)
        counts = left is None and not no_room
        self._losses[lost] += counts
        self._attempts.pop(lost, None)
        self._took(trial)
        if not counts or self._losses[lost] < MOST_ATTEMPTS:
            self._flight.running.pop(trial.trial_id)
            self._planner.ended(running.plan)
        if left is not None:
            self._view.show(Note(f"{lost} leaves {left}: it goes on in another group"))
        elif no_room:
            self._say_once(f"the cluster has no room for the workers of {lost}: it waits, and goes on when there is")
        elif self._losses[lost] < MOST_ATTEMPTS:
            attempt = f"attempt {self._losses[lost] + 1} of {MOST_ATTEMPTS}"
            what = f"{lost} has hung, {why}" if hung else f"lost the worker group of {lost} ({why})"
            self._view.show(Note(f"{what}: it goes on in another, {attempt}{pointer()}"))
        else:
            reason = why if hung else f"its worker group was lost: {why}"
            self._ended(trial, Status.FAILED, f"{reason}; {MOST_ATTEMPTS} attempts", {})

    # Ours

    def _waits(self, trial: Trial, name: str, what: str | None) -> None:
        """Take note of a sign of life, and of what a run waits for."""
        self._silence.heard(trial.trial_id, waits=what is not None)
        before = self._waiting.pop(trial.trial_id, None)
        if what is not None:
            self._waiting[trial.trial_id] = f"{name} {what}"
        if before != self._waiting.get(trial.trial_id):
            self.show()

    def _tell_attempt(self, name: str, result: Mapping[str, Any]) -> None:
        """Say that a worker was lost, or short of memory, where a report is of a further attempt in the same group."""
        attempt = result.get("attempts", 1)
        if (spared := result.get("spared")) is not None:
            self._say_once(f"{name}: {once_more(spared)}")
        elif attempt > self._attempts.get(name, 1):
            self._view.show(Note(f"a worker of {name} was lost: it goes on, attempt {attempt} of {MOST_ATTEMPTS}"))
        self._attempts[name] = attempt

    def _end_hung(self, trials: list[Trial]) -> None:
        """End the groups of runs that have hung; Tune then finds them lost."""
        for run, why in self._silence.look(all_wait=self.doing is not None):
            self._silence.over(run)
            for trial in trials:
                if trial.trial_id == run and (actor := trial.temporary_state.ray_actor) is not None:
                    self._hung[run] = why
                    end_at_once(actor)

    def _leave(self, trials: list[Trial]) -> None:
        """End the groups with something on a machine that will be taken away, before it is."""
        actors = {
            trial.trial_id: actor
            for trial in trials
            if trial.trial_id in self._flight.running
            and trial.trial_id not in self._left
            and (actor := trial.temporary_state.ray_actor) is not None
        }
        for run in self._flight.room.leaving(actors):
            self._left[run] = "a machine that will be taken away"
            end_at_once(actors[run])

    def _ended(self, trial: Trial, status: Status, reason: str | None, result: Mapping[str, Any]) -> None:
        running = self._flight.running.pop(trial.trial_id, None)
        if running is None:
            return
        climb, seconds = self._took(trial)
        plan = running.plan
        if status != Status.FAILED:  # a look at the test split has no report that would have said so
            self._tell_attempt(plan.record.trial, result)
        self._attempts.pop(plan.record.trial, None)
        record = plan.record
        self._catch_up(record, result)
        if status == Status.FAILED and _STORAGE_REFUSES.search(reason or ""):
            # Not the trial's fault: it stays "running", and resuming takes it up again.
            self._give_up(f"the storage refuses what trials write ({record.trial}: {reason})")
            if plan.step != Step.TEST:
                self._writer.trial({"trial": record.trial, "status_reason": f"interrupted: {reason}"})
            return
        if plan.step == Step.TEST:
            self._tested(record, status, reason, result)
        else:
            self._run_ended(record, status, reason, result)
        self._planner.ended(plan)
        if status != Status.FAILED:
            self._forecast.learn(plan.kind, seconds, climb, went_on=len(record.curve) > climb.reports > 0)
        self.show()

    def _reported(self, record: Record, row: Row) -> None:
        own = {name: row[name] for name in REPORT_COLUMNS if name in row}
        self._writer.report({**own, "trial": record.trial})
        objective = row.get("objective")
        if record.step == Step.SEARCH and objective is not None:
            record.curve[row["alternation"]] = objective
            self._flight.proposals.report(record.trial, row["alternation"], objective)

    def until_written(self, stopped: Callable[[], bool]) -> None:
        """Wait for a storage that refuses rows, as long as that may pass and nobody asks to stop."""
        while (self._writer.waits or self._behind) and not stopped():
            self._settle_behind()
            self.draw()
            world().sleep(_LOOK_S)

    def _catch_up(self, record: Record, result: Mapping[str, Any]) -> None:
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
                self._reported(record, row)

    def _settle_behind(self) -> None:
        """Catch up with what could not be while the storage refused."""
        if self._behind and self._writer.trouble is None and world().monotonic() >= self._next_try:
            self._next_try = world().monotonic() + _AGAIN_S
            behind, self._behind = self._behind, []
            for record, result in behind:
                self._catch_up(record, result)

    def _climbed(self, trial: Trial) -> Climb:
        """How far an explore trial has come with the report that it has just made."""
        before = self._climbs.get(trial.trial_id, Climb())
        now = world().monotonic()
        seconds = now - self._since.get(trial.trial_id, now)
        return Climb(before.reports + 1, before.first if before.reports else seconds, seconds)

    def _took(self, trial: Trial) -> tuple[Climb, float]:
        """How far a run that is over has come, and how long it took."""
        now = world().monotonic()
        self._silence.over(trial.trial_id)
        self._waiting.pop(trial.trial_id, None)
        return self._climbs.pop(trial.trial_id, Climb()), now - self._since.pop(trial.trial_id, now)

    def _tested(self, record: Record, status: Status, reason: str | None, result: Mapping[str, Any]) -> None:
        if status == Status.COMPLETE:
            record.test_metric = result["test_metric"]
            self._writer.trial({"trial": record.trial, "test_metric": record.test_metric})
            return
        # NaN in memory only: asked once, and not again before the sweep is resumed.
        record.test_metric = math.nan
        problem = f"the test split could not be scored: {reason}"
        self._writer.trial({"trial": record.trial, "test_metric": None, "status_reason": problem})

    def _run_ended(self, record: Record, status: Status, reason: str | None, result: Mapping[str, Any]) -> None:
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
        if status not in (Status.COMPLETE, Status.PAUSED):
            with suppress(OSError):  # a storage that refuses for a moment: a file too many is left behind
                self._flight.progress_of(record.trial).clear()
        self._writer.trial(
            {
                "trial": record.trial,
                "status": status,
                "status_reason": reason,
                "objective": objective,
                "ended_at": None if status == Status.PAUSED else world().now(),
                **{name: result[name] for name in _RESULT_COLUMNS if name in result},
            }
        )

    def show(self) -> None:
        """Have the live view brought up to date, soon."""
        if self._news_since is None:
            self._news_since = self._iteration

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Know which of its steps Tune is at; say why the search changes; end the trials that it left at a rung."""
        self._iteration = iteration
        self._end_hung(trials)
        self._leave(trials)
        self._settle_behind()
        self._say_once(*self._flight.proposals.dropped)
        if self._planner.ended_because is not None:
            explored, asked = self._planner.explored
            self._say_once(f"exploring ends after {explored} of {asked} trials: {self._planner.ended_because}")
        for record, reason in self._planner.settle():
            with suppress(OSError):
                self._flight.progress_of(record.trial).clear()
            ended = {"status": Status.PRUNED, "status_reason": reason, "ended_at": world().now()}
            self._writer.trial({"trial": record.trial, **ended})
            self.show()

    def _say_once(self, *lines: str) -> None:
        for line in lines:
            if line not in self._said:
                self._said.add(line)
                self._view.show(Note(line))

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Draw what has changed, a step later: by then the group of a run that has ended has its next one.

        Drawing may take a tenth of the time at most: ranking ten thousand trials takes long.
        """
        if (
            self._news_since is not None
            and self._iteration > self._news_since
            and world().monotonic() >= self._next_look
        ):
            begin = world().monotonic()
            self.draw()
            self._next_look = begin + _PAUSES * (world().monotonic() - begin)

    def draw(self) -> None:
        """Bring the live view up to date, now."""
        self._news_since = None
        planner, ledger = self._planner, self._planner.ledger
        best = ledger.incumbent
        self._view.show(
            SweepProgress(
                phase=_PHASES[planner.step()],
                total=planner.expected,
                done=ledger.ended.total(),
                running=len(self._flight.running),
                pruned=ledger.ended[Status.PRUNED],
                failed=ledger.ended[Status.FAILED],
                paused=len(ledger.paused),
                elapsed=world().monotonic() - self._begin,
                left=self._forecast.left(planner.to_come(), self._underway(), self._flight.room.slots()),
                best=(best.trial, best.objective) if best is not None and best.objective is not None else None,
                objective_name=self._objective_name,
                trials=lambda: self._writer.trials,
                trouble=self._trouble(),
                doing=self.doing,
            )
        )

    def _trouble(self) -> str | None:
        held_up = self._planner.held_up_by
        turn = None if held_up is None else f"nobody can take another's place: {words_of(held_up)}"
        return "; ".join(filter(None, [self._writer.trouble, turn, *self._waiting.values()])) or None

    def _underway(self) -> Iterator[Underway]:
        now = world().monotonic()
        for trial, (plan, order) in self._flight.running.items():
            elapsed = now - self._since.get(trial, now)
            if plan.step == Step.SEARCH:
                to_go = (plan.until or order.settings.alternations) - plan.record.at
                yield Underway(plan.kind, elapsed, self._climbs.get(trial, Climb()), max(to_go, 0))
            else:
                yield Underway(plan.kind, elapsed)
