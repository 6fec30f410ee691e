"""One schedule: a sweep, what befalls it, and whether all that was promised is so at every moment and at the end."""

from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final
from unittest.mock import patch

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.search.history import is_finished, planner_of
from bissl_ray.search.plans import STAGES, Plan
from bissl_ray.store import read_reports, read_trials, to_rows
from bissl_ray.store.schema import report_key
from bissl_ray.sweep import recorder
from bissl_ray.sweep.parts import order_of
from bissl_ray.training.order import Order
from bissl_ray.words import Status, Step
from bissl_ray.world import inside, world
from tests.search.small_space import FINETUNE
from tests.simulation.clockwork import Machine, SimProcess, SimWorld
from tests.simulation.disk import SimDisk
from tests.simulation.driver import Driver
from tests.simulation.groups import STEPS, value

STORAGE: Final = "sim://runs"
_ENDED: Final = (Status.COMPLETE, Status.PRUNED, Status.FAILED)
_MOST_DRIVERS: Final = 60
_PROTOCOLS: Final[tuple[dict[str, Any], ...]] = (
    {"sampler": "random", "early_stopping": False},
    {"sampler": "tpe", "at_a_rung": "stop"},
    {"sampler": "tpe", "at_a_rung": "pause"},
    {"sampler": "random", "at_a_rung": "exploit", "grace": 1},
    {"sampler": "qmc", "early_stopping": False, "finetune_seeds": 2},
)


@cache
def document(kind: int) -> SweepDocument:
    """A sweep of a dozen and a half of runs, by one of the protocols."""
    protocol = {
        **{"trials": 5, "finalists": 1, "finetune_runs": 2, "seeds": 2, "startup_trials": 2, "grace": 1},
        **{"hung_after": 3, "hung_minutes": 1},
        **{"reduction_factor": 2, **_PROTOCOLS[kind]},
    }
    content = {
        "dataset": "digits",
        "parameters": {"lower_lr": {"type": "float", "low": 0.1, "high": 4.8, "log": True}},
        "finetune_parameters": {"finetune_lr": FINETUNE["finetune_lr"]},
        "fixed": {"alternations": 4},
        "protocol": protocol,
    }
    sizes = {"classes": 10, "pretext": 800, "train": 100, "validation": 300, "test": 597}
    request = SweepRequest(name="night", data=DataChoice("digits"), space=SearchSpace.model_validate(content))
    return SweepDocument(request=request, data=sizes, fingerprint="0", start="pretrained/start.pt")


class Schedule:
    """What a seed makes happen."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.world = world = SimWorld(seed)
        world.twice = world.random.choice([0.0, 0.0, 0.1])  # type: ignore[attr-defined]
        chance = world.random
        self.kind = chance.randrange(len(_PROTOCOLS))
        self.document = document(self.kind)
        self.slots = chance.choice([1, 1, 2, 3])
        self.disk = SimDisk(world, chance.choice(["sim", "sim", "s3"]))
        self.disk.on_change = self._changed
        world.disks["sim"] = self.disk
        skew = chance.choice([0.0, 0.0, 5.0, 3600.0])
        self.machines = [Machine("here", skew), Machine("there", -skew)]
        self.drivers: list[Driver] = []
        self.injected: Counter[str] = Counter()
        self.heard: dict[tuple[str, Any], tuple[str, float, Driver, float]] = {}
        self.durable: dict[str, dict[str, Any]] = {}
        self.faults: list[str] = []
        self.last_in: Driver | None = None
        self.is_due = self.is_read = False

    # What happens

    def run(self) -> None:
        """Live through it; raises AssertionError where something was not as promised."""
        world, chance = self.world, self.world.random
        with inside(world), patch.object(recorder, "end_at_once", lambda actor: actor.process.kill()):
            for _ in range(chance.choice([0, 1, 3, 8])):
                world.later(chance.expovariate(1 / 40), self._incident)
            self._drive()
            try:
                world.run(self._is_over)
            finally:
                self._look_back()
            self.is_read = True
            world.spawn(self.machines[0], "the reader", self._read)
            ended = len(self.drivers)
            self._end_of_all: Callable[[], None] = lambda: None
            self._read_ended = False
            world.run(lambda: self._read_ended)
            assert ended == len(self.drivers)
        self._complain()

    def _complain(self) -> None:
        found = [*self.faults, *self.world.errors]
        assert not found, "; ".join(found[:3])

    def _is_over(self) -> bool:
        """Whether the sweep is done; sees to it that somebody runs it."""
        self._complain()
        if any(driver.ended == "finished" for driver in self.drivers):
            return True
        if not any(self._lives(driver) for driver in self.drivers):
            assert len(self.drivers) < _MOST_DRIVERS, f"{_MOST_DRIVERS} drivers have not finished it"
            if not self.is_due:
                self.is_due = True
                self.world.later(self.world.random.expovariate(1 / 20), self._drive)
        return False

    def _lives(self, driver: Driver) -> bool:
        return driver.ended is None and not driver.process.dead

    def _drive(self, machine: Machine | None = None) -> None:
        self.is_due = False
        machine = machine or self.machines[self.world.random.random() < 0.3]
        name = f"driver {len(self.drivers) + 1}"
        self.world.note(f"{name} begins, {machine.name}")
        driver = Driver(self.world, machine, self.document, STORAGE, self.slots, name)
        driver.on_enter = self._entered
        driver.heard = partial(self._heard, driver)
        self.drivers.append(driver)

    def _incident(self) -> None:
        """One thing goes wrong, as long as the sweep lasts."""
        if self.is_read:
            return
        chance = self.world.random
        living = [driver for driver in self.drivers if self._lives(driver)]
        actors = [actor for driver in living for actor in driver.actors if not actor.is_lost]
        workers = [heir for actor in actors for heir in actor.process.heirs if not heir.dead]
        what = chance.choice(
            [
                "kill",
                "kill",
                "ctrl-c",
                "stop",
                "stop in a write",
                "second",
                "actor",
                "workers",
                "hang",
                "full",
                "away",
                "flaky",
            ]
        )
        if what == "kill" and living:
            chance.choice(living).process.kill()
        elif what == "ctrl-c" and living:
            chance.choice(living).interrupt.ask()
        elif what == "stop" and living:
            driver = chance.choice(living)
            seconds = chance.choice([1.0, 20.0, 60.0, 600.0])
            for process in [driver.process, *(actor.process for actor in driver.actors)]:
                process.stop(seconds)
            self._drive()
        elif what == "stop in a write":
            self.disk.before_change = self._stop_holder
        elif what == "second":
            self._drive()
        elif what == "actor" and actors:
            chance.choice(actors).process.kill()
        elif what == "workers" and workers:
            chance.choice(workers).kill()
        elif what == "hang" and workers:
            chance.choice(workers).stop(chance.choice([5.0, 100.0, 10_000.0]))
        elif what == "full":
            self.disk.full_until = self.world.time + chance.choice([1.0, 20.0, 200.0])
        elif what == "away":
            self.disk.away_until = self.world.time + chance.choice([1.0, 10.0, 100.0])
        elif what == "flaky":
            self.disk.flaky_until = self.world.time + chance.choice([20.0, 200.0])
        else:
            return
        self.injected[what] += 1
        self.world.note(f"incident: {what}")

    def _stop_holder(self, process: SimProcess) -> None:
        """Let who holds the sweep stand still in the middle of a write, and another machine go for it."""
        holder = self.last_in
        if holder is not None and process is holder.process and holder.holds and self.world.random.random() < 0.3:
            self.disk.before_change = lambda process: None
            process.stop(self.world.random.choice([40.0, 100.0, 400.0]))
            self._drive(next(machine for machine in self.machines if machine is not process.machine))

    # What must be so at every moment

    def _entered(self, driver: Driver) -> None:
        self.world.note(f"{driver.process.name} has the sweep")
        self.last_in = driver

    def _changed(self, path: str) -> None:
        if not path.startswith("runs/results/") or self.disk.type_name == "s3":
            return
        here = self.world.here
        if self.last_in is None or here is not self.last_in.process:
            self.faults.append(f"{here.name} changed {path.rpartition('/')[2]} after another had taken the sweep")

    def _heard(self, driver: Driver, order: Order, result: dict[str, Any]) -> None:
        for row in (*result.get("earlier", ()), result):
            self.heard[order.trial, report_key(row)] = (order.identity, row["objective"], driver, world().monotonic())

    # What must be so at the end

    def _look_back(self) -> None:
        for driver in self.drivers:
            if driver.ended is not None:
                self.world.note(f"{driver.process.name} ended: {driver.ended}")

    def _read(self) -> None:
        try:
            self.disk.full_until = self.disk.away_until = self.disk.flaky_until = 0.0
            self._check_rows()
        finally:
            self._read_ended = True

    def _check_rows(self) -> None:
        request = self.document.request
        rows = {row["trial"]: row for row in to_rows(read_trials(STORAGE, "digits", "night"))}
        reports: dict[str, dict[Any, float]] = {}
        for row in to_rows(read_reports(STORAGE, "digits", "night")):
            of = reports.setdefault(row["trial"], {})
            assert report_key(row) not in of, f"{row['trial']} has a report twice"
            of[report_key(row)] = row["objective"]
        planner, _ = planner_of(request, STORAGE)
        assert is_finished(planner), "rebuilt, the sweep is not finished"
        steps = Counter(row["step"] for row in rows.values())
        protocol = request.space.protocol
        assert steps[Step.SEARCH] >= protocol.trials
        for name, record in planner.records.items():
            row = rows[name]
            assert row["status"] in _ENDED, f"{name} has not ended: {row['status']}"
            order = order_of(
                Plan(record, STAGES[record.phase, record.step], None), document=self.document, storage=STORAGE
            )
            self._check_trial(order, row, reports.get(name, {}))

    def _check_trial(self, order: Order, row: dict[str, Any], reports: dict[Any, float]) -> None:
        name = order.trial
        assert row["status"] != Status.FAILED or self.injected, f"{name} failed: {row['status_reason']}"
        reached = row["alternations"] or 0
        known = {key[1]: objective for key, objective in reports.items() if key[0] == "bissl"}
        if "bissl" in order.stages and row["status"] != Status.FAILED:
            began = 1 if not order.inherits else min(known, default=1)
            wanted = list(range(began, reached + 1))
            assert sorted(known) == wanted, f"{name} has reports of {sorted(known)}, not of 1 to {reached}"
        tuned = {key[3]: objective for key, objective in reports.items() if key[0] == "finetune"}
        if "finetune" in order.stages and row["status"] == Status.COMPLETE:
            assert sorted(tuned) == list(range(1, STEPS + 1)), f"{name} has fine-tuning reports {sorted(tuned)}"
        for at, objective in known.items():
            assert objective == value(order, at), f"{name} has a report that its settings don't give"
        for at, objective in tuned.items():
            assert objective == value(order, 50 + at), f"{name} has a report that its settings don't give"
        for (trial, key), (identity, objective, driver, at) in self.heard.items():
            was_only_heard = driver.has_not_written_since is not None and at >= driver.has_not_written_since
            # Who goes on decides by what is on disk, and may end a trial before it comes to that report again.
            was_not_there = driver.ended not in ("finished", "interrupted") and (trial, key) not in driver.on_disk
            was_only_heard |= was_not_there and row["status"] == Status.PRUNED and (key[1] or 0) > reached
            if trial == name and identity == order.identity and row["status"] != Status.FAILED and not was_only_heard:
                assert reports.get(key) == objective, f"{name} lost its report {key}"
