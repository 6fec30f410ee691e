"""Tune's callback of ours: what happens goes to the store, to Optuna, to the planner and to the live view."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

from ray import tune
from ray.tune.experiment import Trial

from bissl_ray.progress import Note, View
from bissl_ray.search.forecast import Climb, Forecast
from bissl_ray.store.schema import Row
from bissl_ray.sweep.losses import had_no_room, why_lost
from bissl_ray.sweep.picture import Picture
from bissl_ray.sweep.rows import Rows
from bissl_ray.sweep.searcher import InFlight
from bissl_ray.sweep.silence import Silence
from bissl_ray.training.sparing import once_more
from bissl_ray.words import Status, Step
from bissl_ray.workers.group import ALIVE, OVER, end_at_once
from bissl_ray.workers.losses import Losses
from bissl_ray.workers.ray_log import pointer
from bissl_ray.world import world

_STORAGE_REFUSES = re.compile(r"StorageRefusedError|No space left on device|Disk quota exceeded|QuotaExceeded")
_LOOK_S: Final = 1.0


class Recorder(tune.Callback):  # type: ignore[misc]
    """Hears of every start, report and end, in the driver.

    Attributes:
        picture: what a person sees of it.
        rows: what the store gets of it.
    """

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
        self._planner = flight.planner
        self._view = view
        self._give_up = give_up
        self._forecast = forecast
        self._silence = silence
        self.rows, self.picture = Rows(flight), Picture(flight, forecast, view)
        self._hung: dict[str, str] = {}
        self._left: dict[str, str] = {}
        self._attempts: dict[str, int] = {}
        self._losses: defaultdict[str, Losses] = defaultdict(Losses)
        self._said: set[str] = set()

    # Tune calls these

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Know which of its steps Tune is at; say why the search changes; end the trials that it left at a rung."""
        self.picture.step_begins(iteration)
        self._end_hung(trials)
        self._leave(trials)
        self.rows.settle_behind()
        self._say_once(*self._flight.proposals.dropped)
        if self._planner.ended_because is not None:
            explored, asked = self._planner.explored
            self._say_once(f"exploring ends after {explored} of {asked} trials: {self._planner.ended_because}")
        for record, reason in self._planner.settle():
            self.rows.ended_at_a_rung(record, reason)
            self.picture.show()

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Draw what has changed."""
        self.picture.step_ends()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Write the trial's row."""
        running = self._flight.running.get(trial.trial_id)
        if running is None:  # of another sweep
            return
        self.picture.began(trial.trial_id)
        self._silence.began(trial.trial_id, running.plan.kind)
        if running.plan.step == Step.TEST:
            return
        self.rows.began(running)
        self.picture.show()

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: Row, **info: Any) -> None:
        """Write the report's row, and pass its objective on; or take a sign of life for what it is."""
        run = trial.trial_id
        running = self._flight.running.get(run)
        if running is None:
            return
        record = running.plan.record
        if ALIVE in result:
            self._silence.heard(run, waits=result[ALIVE] is not None)
            self.picture.waits(run, record.trial, result[ALIVE])
            return
        self._silence.reported(run)
        self.picture.reported(run, climbs=OVER not in result and record.step == Step.SEARCH)
        if OVER in result:
            return
        self._tell_attempt(record.trial, result)
        self._losses[record.trial].reported(*result.get("earlier", ()), result)
        self.rows.reported(record, result)
        self.picture.told(run, *result.get("earlier", ()), result)
        self.picture.objective_name = result["so_far"].get("objective_name", self.picture.objective_name)
        self.picture.show()

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
            self.rows.interrupted(running.plan.record, "interrupted; goes on with resume")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial whose worker group is lost, with its process or its machine: not the trial's fault.

        It goes on from its own checkpoint, as when a worker of several is lost, and has failed when that has come to
        nothing too often. To leave a machine that will be taken away, or to find no room, is no attempt.
        """
        hung = self._hung.pop(trial.trial_id, None)
        running = self._flight.running.get(trial.trial_id)
        if running is None:
            return
        lost, why = running.plan.record.trial, hung or why_lost(trial)
        left, no_room = self._left.pop(trial.trial_id, None), had_no_room(trial)
        losses, counts = self._losses[lost], left is None and not no_room
        if counts:
            losses.lost()
        self._attempts.pop(lost, None)
        self._over(trial)
        if not losses.are_too_many:
            self._flight.running.pop(trial.trial_id)
            self._planner.ended(running.plan)
        if left is not None:
            self._view.show(Note(f"{lost} leaves {left}: it goes on in another group"))
        elif no_room:
            self._say_once(f"the cluster has no room for the workers of {lost}: it waits, and goes on when there is")
        elif not losses.are_too_many:
            what = f"{lost} has hung, {why}" if hung else f"lost the worker group of {lost} ({why})"
            self._view.show(Note(f"{what}: it goes on in another, {losses.attempt}{pointer()}"))
        else:
            reason = why if hung else f"its worker group was lost: {why}"
            self._ended(trial, Status.FAILED, f"{reason}; {losses.since} times, without a new report in between", {})

    # Ours

    def until_written(self, stopped: Callable[[], bool]) -> None:
        """Wait for a storage that refuses rows, as long as that may pass and nobody asks to stop."""
        while self.rows.wait and not stopped():
            self.rows.settle_behind()
            self.picture.draw()
            world().sleep(_LOOK_S)

    def _tell_attempt(self, name: str, result: Mapping[str, Any]) -> None:
        """Say that a worker was lost, or short of memory, where a report is of a further attempt in the same group."""
        attempt = result.get("attempts", 1)
        if (spared := result.get("spared")) is not None:
            self._say_once(f"{name}: {once_more(spared)}")
        elif attempt > self._attempts.get(name, 1):
            self._view.show(Note(f"a worker of {name} was lost: it goes on, attempt {attempt}"))
        self._attempts[name] = attempt

    def _end_hung(self, trials: list[Trial]) -> None:
        """End the groups of runs that have hung; Tune then finds them lost."""
        for run, why in self._silence.look(all_wait=self.picture.doing is not None):
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
        climb, seconds = self._over(trial)
        plan, record = running.plan, running.plan.record
        if status != Status.FAILED:  # a look at the test split has no report that would have said so
            self._tell_attempt(record.trial, result)
        self._attempts.pop(record.trial, None)
        self.rows.catch_up(record, result)
        if status == Status.FAILED and _STORAGE_REFUSES.search(reason or ""):
            # Not the trial's fault: resuming takes it up again.
            self._give_up(f"the storage refuses what trials write ({record.trial}: {reason})")
            if plan.step != Step.TEST:
                self.rows.interrupted(record, f"interrupted: {reason}")
            return
        if plan.step == Step.TEST:
            self.rows.tested(record, status, reason, result)
        else:
            self.rows.ended(record, status, reason, result)
        self._planner.ended(plan)
        if status != Status.FAILED:
            self._forecast.learn(plan.kind, seconds, climb, went_on=len(record.curve) > climb.reports > 0)
        self.picture.show()

    def _over(self, trial: Trial) -> tuple[Climb, float]:
        """A run is over: how far it has come, and how many seconds it took."""
        self._silence.over(trial.trial_id)
        return self.picture.over(trial.trial_id)

    def _say_once(self, *lines: str) -> None:
        for line in lines:
            if line not in self._said:
                self._said.add(line)
                self._view.show(Note(line))
