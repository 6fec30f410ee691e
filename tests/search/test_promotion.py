"""Trials pause at rungs and the best go on: which, when, and what is left in the end."""

import copy
import math
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from bissl_ray.search.brackets import Brackets
from bissl_ray.search.planner import Planner
from bissl_ray.search.plans import Plan
from bissl_ray.search.promotion import Rungs
from bissl_ray.search.proposals import finetune_points
from bissl_ray.search.records import Record
from bissl_ray.words import Phase, Status, Step
from tests.search.small_space import space
from tests.search.whole_sweep import ByName, run_through, share

ALTERNATIONS = 9
RUNGS = {"grace": 1, "reduction_factor": 3, "at_a_rung": "pause"}


def score(trial: str, alternation: int) -> float:
    """Better with every alternation, by trial."""
    return share(trial) + 0.01 * alternation


class Pausing:
    """Drives a planner; an explore trial runs from where it stopped to where its plan has it pause."""

    def __init__(
        self,
        trials: int,
        slots: int,
        records: list[Record],
        fails: Callable[[str], bool] = lambda trial: False,
        **protocol: Any,
    ) -> None:
        self.space = space({**RUNGS, "trials": trials, "finetune_runs": 1, **protocol})
        points = partial(finetune_points, self.space)
        self.planner = Planner(
            self.space.protocol, ByName(), points, records, rungs=Rungs(self.space.protocol, ALTERNATIONS)
        )
        self.ran: list[tuple[str, int]] = []
        self.promoted: list[tuple[str, int, int, int]] = []
        """Trial, rung, its place there when it went on, and of how many."""
        self._slots, self._fails, self._draw = slots, fails, random.Random(trials)

    def __iter__(self) -> Iterator[list[Record]]:
        """The records after each start and each end."""
        running: list[Plan] = []
        while True:
            self.planner.settle()
            while len(running) < self._slots and (plan := self.planner.next()) is not None:
                self._note(plan)
                running.append(plan)
                yield copy.deepcopy([*self.planner.records.values()])
            if not running:
                assert self.planner.finished and not self.planner.ledger.paused
                return
            plan = running.pop(self._draw.randrange(len(running)))
            self._run(plan)
            self.planner.ended(plan)
            yield copy.deepcopy([*self.planner.records.values()])

    def _note(self, plan: Plan) -> None:
        at = max(plan.record.curve, default=0)
        if plan.step == Step.SEARCH and at in (1, 3):
            scores = [r.curve[at] for r in self.explored if at in r.curve]
            better = sum(one > plan.record.curve[at] for one in scores)
            self.promoted.append((plan.record.trial, at, better, len(scores)))

    def _run(self, plan: Plan) -> None:
        record = plan.record
        if run_through(plan):
            return
        end = plan.until or ALTERNATIONS
        for alternation in range(max(record.curve, default=0) + 1, end + 1):
            self.ran.append((record.trial, alternation))
            record.curve[alternation] = record.objective = score(record.trial, alternation)
        record.status = Status.FAILED if self._fails(record.trial) else Status.PAUSED if plan.until else Status.COMPLETE

    @property
    def explored(self) -> list[Record]:
        return [r for r in self.planner.records.values() if r.step == Step.SEARCH]

    def run(self) -> "Pausing":
        for _ in self:
            pass
        return self


@pytest.mark.parametrize("slots", [1, 2, 7])
def test_the_best_third_of_a_rung_goes_on_and_nothing_runs_twice(slots: int) -> None:
    sweep = Pausing(27, slots, []).run()
    assert len(sweep.ran) == len(set(sweep.ran))
    for _, _, better, among in sweep.promoted:
        assert better < among // 3
    reached = {level: sum(level in r.curve for r in sweep.explored) for level in (1, 3, 9)}
    assert reached[1] == 27 and reached[3] >= 9 and reached[9] >= 3
    best = sorted(sweep.explored, key=lambda r: -share(r.trial))
    # Whatever came first: the best of a whole rung have gone on in the end.
    assert all(3 in r.curve for r in best[:9])
    assert {r.status for r in sweep.explored} == {Status.COMPLETE, Status.PRUNED}
    assert all((r.status == Status.COMPLETE) == (9 in r.curve) for r in sweep.explored)
    assert {r.parent for r in sweep.planner.records.values() if r.phase == Phase.CONFIRM} <= {
        r.trial for r in sweep.explored if r.status == Status.COMPLETE
    }


@pytest.mark.parametrize("trials", [1, 2, 4])
def test_of_few_trials_as_many_as_are_confirmed_go_to_their_end(trials: int) -> None:
    sweep = Pausing(trials, 2, []).run()
    complete = [r.trial for r in sweep.explored if r.status == Status.COMPLETE]
    assert set(complete) == {r.trial for r in sorted(sweep.explored, key=lambda r: -share(r.trial))[: len(complete)]}
    assert len(complete) == min(trials, 2)  # small_space's finalists


def test_a_budget_that_ends_leaves_one_to_confirm() -> None:
    sweep = Pausing(27, 2, [])
    for _ in sweep:
        if len(sweep.explored) == 4:
            sweep.planner.end_exploring("the budget is spent")
    assert sum(r.status == Status.COMPLETE for r in sweep.explored) == 1


def test_resumed_anywhere_it_ends_and_runs_nothing_twice() -> None:
    whole = Pausing(12, 2, [])
    for number, records in enumerate(whole):
        if number % 3 == 0:
            before = {(r.trial, a) for r in records if r.step == Step.SEARCH for a in r.curve}
            resumed = Pausing(12, 3, copy.deepcopy(records)).run()
            assert not before & set(resumed.ran) and len(resumed.ran) == len(set(resumed.ran))
            assert len(resumed.explored) == 12 and {r.status for r in resumed.explored} <= {"complete", "pruned"}


def test_trials_that_fail_hold_nothing_up() -> None:
    sweep = Pausing(12, 2, [], fails=lambda trial: share(trial, "fails") < 0.5).run()
    assert {r.status for r in sweep.explored} <= {"complete", "pruned", "failed"}
    assert any(r.status == "failed" for r in sweep.explored)


@pytest.mark.parametrize("slots", [1, 3])
def test_brackets_pause_at_their_own_rungs_and_promote_among_themselves(slots: int) -> None:
    sweep = Pausing(40, slots, [], brackets=3)
    list(sweep)
    dealt = Brackets(sweep.space.protocol, ALTERNATIONS)
    assert dealt.count == 3
    stops: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}
    for record in sweep.planner.ledger.of(Phase.EXPLORE, Step.SEARCH):
        stops[dealt.of(record.trial)].add(max(record.curve))
    assert stops[0] <= {1, 3, 9}
    assert stops[1] <= {3, 9}
    assert stops[2] == {9}, "no rung is left: all go to their end"
    assert 1 in stops[0] and 3 in stops[1]


def paused(name: str, curve: dict[int, float], **point: Any) -> Record:
    return Record(name, Phase.EXPLORE, Step.SEARCH, None, 0, point, "tpe", Status.PAUSED, curve=curve)


def test_rungs() -> None:
    protocol = space({"grace": 2, "reduction_factor": 2}).protocol
    rungs = Rungs(protocol, 9)
    assert [rungs.until(paused("t", dict.fromkeys(range(1, at + 1), 0.0))) for at in (0, 1, 2, 5, 8)] == [
        2,
        2,
        4,
        8,
        None,
    ]
    # One whose own end comes first does not pause there.
    assert rungs.until(paused("t", {2: 0.0}, alternations=4)) is None
    first, second = paused("a", {2: math.nan}), paused("b", {2: 0.1})
    for record in (first, second):
        rungs.has_run(record)
        rungs.has_run(record)
    assert rungs.goes_on() is second and rungs.best_left() is second
    second.status = Status.RUNNING
    assert rungs.goes_on() is None and rungs.best_left() is first
    second.curve[4], second.status = 0.2, Status.PAUSED
    rungs.has_run(second)
    assert rungs.goes_on() is None and rungs.best_left() is second, "one of one is no half"
