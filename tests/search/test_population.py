"""Population-based training: who makes room at a rung, for whom; a sweep killed at any moment goes on alike."""

import copy
import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from pydantic import ValidationError

from bissl_ray.search.planner import Planner
from bissl_ray.search.plans import Plan
from bissl_ray.search.population import MIDWAY, Population
from bissl_ray.search.proposals import finetune_points
from bissl_ray.search.records import Record, records_from_store
from bissl_ray.words import PBT, Status, Step
from tests.search.small_space import PARAMETERS, space, store_rows
from tests.search.whole_sweep import ByName, run_through

ALTERNATIONS = 8
RUNGS = {"grace": 2, "reduction_factor": 3, "at_a_rung": "exploit"}
PROTOCOL = {**RUNGS, "trials": 6, "finetune_runs": 1, "finalists": 2, "seed": 5}
SEARCHED = ("lower_lr", "cg_iterations")
SPACE = space(PROTOCOL, fixed={"alternations": ALTERNATIONS})


class Files:
    """Where trials are that have paused, and what was handed over."""

    def __init__(self) -> None:
        self.progress: dict[str, tuple[Any, ...]] = {}
        self.handed: dict[str, tuple[Any, ...]] = {}

    def hand_over(self, donor: str, heir: str) -> None:
        self.handed[heir] = self.progress[donor]

    def has(self, heir: str) -> bool:
        return heir in self.handed


class Driven:
    """Drives a planner over a population; a trial's weights are all the points that it has gone through."""

    def __init__(self, files: Files, records: list[Record], slots: int = 2, dies: tuple[str, ...] = ()) -> None:
        self.files, self._slots, self._dies, self._draw = files, slots, dies, random.Random(slots)
        self.planner = Planner(
            SPACE.protocol, ByName(), partial(finetune_points, SPACE), records, rungs=Population(SPACE, files)
        )
        self.ended: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator[list[Record]]:
        running: list[Plan] = []
        while True:
            for record, reason in self.planner.settle():
                self.ended.append((record.trial, reason))
                yield self.stored()
            while len(running) < self._slots and (plan := self.planner.next()) is not None:
                running.append(plan)
                yield self.stored()
            if not running:
                assert self.planner.finished
                return
            plan = running.pop(self._draw.randrange(len(running)))
            self._run(plan)
            yield self.stored()
            self.planner.ended(plan)
            yield self.stored()

    def stored(self) -> list[Record]:
        """As the store has it: heirs from when they began, losers as ended from when that was said."""
        begun = {name for name, _ in self.planner._in_flight}
        known = [
            r
            for r in self.planner.records.values()
            if not r.origin.startswith(PBT) or r.curve or r.ended or r.trial in begun
        ]
        unsaid = {s.loser.trial for s in self.planner._leaving}
        found = copy.deepcopy(known)
        for record in found:
            if record.trial in unsaid:
                record.status = Status.PAUSED
        return found

    def _run(self, plan: Plan) -> None:
        record, files = plan.record, self.files
        if run_through(plan):
            return
        rate = record.point["lower_lr"]
        weights = files.progress.get(record.trial)
        if weights is None:
            weights = files.handed[record.trial] if record.began_at else ()
        assert len(weights) == record.at
        for alternation in range(record.at + 1, (plan.until or ALTERNATIONS) + 1):
            weights = (*weights, rate)
            record.curve[alternation] = record.objective = -sum(abs(each - 0.6) for each in weights) / alternation
            if record.trial in self._dies and alternation == 3:
                record.status = Status.FAILED
                return
        files.progress[record.trial] = weights
        record.status = Status.PAUSED if plan.until else Status.COMPLETE

    def run(self) -> "Driven":
        for _ in self:
            pass
        return self

    @property
    def explored(self) -> dict[str, Record]:
        return {name: r for name, r in self.planner.records.items() if r.step == Step.SEARCH}


def told(sweep: Driven) -> dict[str, Any]:
    return {
        name: (record.status, record.origin, {at: record.point[at] for at in SEARCHED}, record.curve)
        for name, record in sweep.explored.items()
    }


@pytest.mark.parametrize("slots", [1, 2, 6])
def test_the_worst_third_makes_room_for_neighbours_of_the_best(slots: int) -> None:
    sweep = Driven(Files(), [], slots).run()
    records = sweep.explored
    heirs = {name: record for name, record in records.items() if record.origin.startswith(PBT)}
    assert len(heirs) == 2 * 3  # two of six at each of three rungs
    assert sorted({record.began_at for record in heirs.values()}) == [2, 4, 6]
    for name, heir in heirs.items():
        donor, slot = records[heir.origin.removeprefix(PBT)], name.partition("-")[0]
        before = [r for r in records.values() if r.trial.partition("-")[0] == slot and r.began_at < heir.began_at]
        loser = max(before, key=lambda record: record.began_at)
        assert loser.status == Status.PRUNED and loser.at == heir.began_at
        assert donor.curve[heir.began_at] > loser.curve[heir.began_at]
        assert heir.point["lower_lr"] / donor.point["lower_lr"] in (pytest.approx(0.8), pytest.approx(1.25))
        assert abs(heir.point["cg_iterations"] - donor.point["cg_iterations"]) in range(1, 4)
        assert min(heir.curve) == heir.began_at + 1
        # What it has come to is the donor's weights and its own steps.
        assert sweep.files.handed[name] == sweep.files.progress[donor.trial][: heir.began_at]
    assert sum(record.status == Status.COMPLETE for record in records.values()) == 6
    assert len(sweep.ended) == 6 and all(reason.startswith("PBT: t00") for _, reason in sweep.ended)


def test_how_many_run_at_a_time_changes_nothing() -> None:
    assert told(Driven(Files(), [], 1).run()) == told(Driven(Files(), [], 5).run())


def test_killed_at_any_moment_it_ends_alike() -> None:
    whole = told(Driven(Files(), []).run())
    moments = sum(1 for _ in Driven(Files(), []))
    for moment in range(moments):
        files = Files()
        for number, records in enumerate(Driven(files, [])):  # noqa: B007
            if number == moment:
                break
        # What was under way is begun anew, from where it had saved itself.
        trials, reports = store_rows(records, SPACE)
        again = records_from_store(trials, reports)
        for record in again:
            if record.status == Status.RUNNING and record.step == Step.SEARCH:
                record.curve = {a: v for a, v in record.curve.items() if a <= len(files.progress.get(record.trial, ()))}
        assert told(Driven(files, again).run()) == whole, moment


def test_who_ended_by_itself_is_followed_and_follows_nobody() -> None:
    best = max(told(Driven(Files(), []).run()).items(), key=lambda item: item[1][3].get(2, -9))[0]
    sweep = Driven(Files(), [], dies=(best,)).run()
    records = sweep.explored
    assert records[best].status == Status.FAILED
    assert records[f"{best}-4"].origin != PBT + best and 5 in records[f"{best}-4"].curve
    assert PBT + best not in {record.origin for record in records.values() if record.began_at > 2}


def test_who_only_looks_moves_nobody() -> None:
    files = Files()
    for records in Driven(files, []):
        if sum(record.status == Status.PAUSED for record in records) == 6:
            break
    looked = Planner(SPACE.protocol, ByName(), partial(finetune_points, SPACE), records, rungs=Population(SPACE, None))
    assert not looked.finished and not files.handed
    assert not any(record.began_at for record in looked.records.values())


def test_a_budget_ends_with_the_best_that_has_come_so_far() -> None:
    sweep = Driven(Files(), [])
    for records in sweep:
        if max(record.at for record in records) == 4:
            sweep.planner.end_exploring("the budget is spent")
    complete = [record for record in sweep.explored.values() if record.status == Status.COMPLETE]
    assert len(complete) == 1 and not sweep.planner.ledger.paused


def test_settings_that_change_midway_are_numbers() -> None:
    fields = {**PARAMETERS, "damping": {"type": "float", "low": 0.0, "high": 5.0}}
    assert {"lower_lr", "cg_iterations", "damping", "direct_weight"} <= MIDWAY & fields.keys()
    assert "solver" not in MIDWAY and "lower_steps" not in MIDWAY


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"early_stopping": False}, "early_stopping"),
        ({"brackets": 2}, "brackets"),
        ({"trials": 1}, "population"),
    ],
)
def test_what_is_no_population_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        space({**PROTOCOL, **changes}, fixed={"alternations": ALTERNATIONS})


def test_trials_of_different_lengths_are_refused() -> None:
    lengths = {"alternations": {"type": "int", "low": 4, "high": 8}}
    with pytest.raises(ValidationError, match="differ in alternations"):
        space(PROTOCOL, parameters={**PARAMETERS, **lengths}, fixed={})
    with pytest.raises(ValidationError, match="differ in alternations"):
        space(PROTOCOL, known_good=[{"alternations": 3}], fixed={"alternations": ALTERNATIONS})
