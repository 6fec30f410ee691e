"""Drives a planner through a whole sweep; what a trial answers is a function of what it is."""

import hashlib
import math
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any, Literal

from bissl_ray import words
from bissl_ray.config.protocol import Protocol
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.search.planner import Planner
from bissl_ray.search.plans import TEST_STAGES, Plan
from bissl_ray.search.proposals import finetune_points
from bissl_ray.search.records import Record, records_from_store
from bissl_ray.words import Kind, Step
from tests.search.small_space import store_rows


def share(*question: Any) -> float:
    """A number in [0, 1), always the same one for the same question."""
    return int(hashlib.sha256(repr(question).encode()).hexdigest()[:8], 16) / 2**32


class ByName:
    """Proposes for each trial a point that its name decides; remembers whom it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, trial: str) -> tuple[dict[str, Any], str]:
        self.asked.append(trial)
        return {"lower_lr": 0.1 + share(trial), "cg_iterations": int(10 * share(trial, "cg"))}, "tpe"


Status = Callable[[Record], str]


@cache
def _points(space: str, count: int) -> list[dict[str, Any]]:
    """A resume from every interruption asks for them thousands of times."""
    return finetune_points(SearchSpace.model_validate_json(space), count)


def completes(record: Record) -> str:
    """Every trial runs to its end."""
    return "complete"


def run_through(plan: Plan) -> bool:
    """Run what is no explore trial to its end; False: it is one."""
    if plan.stages == TEST_STAGES:
        plan.record.test_metric = 0.5
    elif plan.step != Step.SEARCH:
        plan.record.status, plan.record.objective = words.Status.COMPLETE, share(plan.record.trial)
    return plan.step != Step.SEARCH


class WholeSweep:
    """A sweep on some worker groups that end in an order of their own.

    Attributes:
        planner: what is driven.
        started: plans in the order in which they were given out.
        tested: trials whose models were scored on the test split, in order.
        snapshots: the records after each start and end.
        steps: what the planner said it was at, before each start.
    """

    def __init__(
        self,
        space: SearchSpace,
        slots: int = 1,
        seed: int = 0,
        status: Status = completes,
        records: list[Record] | None = None,
        test_metric: Callable[[Record], float] = lambda record: share(record.trial, "test"),
        only: Literal[Kind.BISSL, Kind.CONTROL] | None = None,
        score: Callable[[Record], float] = lambda record: share(
            record.trial, record.seed, sorted(record.point.items())
        ),
    ):
        self.space = space
        self.proposer = ByName()
        points = partial(_points, space.model_dump_json())
        self.planner = Planner(space.protocol, self.proposer, points, records or [], only)
        self.started: list[Plan] = []
        self.tested: list[str] = []
        self.snapshots: list[list[Record]] = []
        self.steps: list[str] = []
        self._slots = slots
        self._draw = random.Random(seed)
        self._status = status
        self._test_metric = test_metric
        self._score = score

    @property
    def protocol(self) -> Protocol:
        return self.space.protocol

    @property
    def records(self) -> dict[str, Record]:
        return self.planner.records

    def run(self, before_start: Callable[["WholeSweep"], None] = lambda sweep: None) -> "WholeSweep":
        """Go on until nothing is left; fail if the planner waits for something that isn't running."""
        running: list[Plan] = []
        while True:
            before_start(self)
            while len(running) < self._slots:
                self.steps.append(self.planner.step())
                plan = self.planner.next()
                if plan is None:
                    break
                running.append(plan)
                self.started.append(plan)
                assert len(self.started) < 1000, "it never ends"
                self._write()
            if not running:
                assert self.planner.finished
                return self
            assert not self.planner.finished
            ending = running.pop(self._draw.randrange(len(running)))
            self._end(ending)
            self.planner.ended(ending)
            self._write()

    def _end(self, plan: Plan) -> None:
        record = plan.record
        if plan.stages == TEST_STAGES:
            self.tested.append(record.trial)
            record.test_metric = self._test_metric(record)
            return
        answer = self._status(record)
        score = self._score(record) if answer != "failed" else None
        record.status = "complete" if answer == "nan" else answer  # type: ignore[assignment]
        record.objective = math.nan if answer == "nan" else score

    def _write(self) -> None:
        self.snapshots.append([replace(r, point=dict(r.point)) for r in self.records.values()])

    def of(self, phase: str, step: str) -> list[Record]:
        return [r for r in self.records.values() if (r.phase, r.step) == (phase, step)]

    def outcome(self) -> dict[str, tuple[Any, ...]]:
        """What the sweep came to, by trial."""
        return {
            r.trial: (r.phase, r.step, r.parent, r.seed, r.origin, r.status, r.objective, r.test_metric)
            for r in self.records.values()
        }


def from_store(records: list[Record], space: SearchSpace) -> list[Record]:
    """The records as a resume finds them; of their points (all settings, by then) what was proposed."""
    rebuilt = records_from_store(*store_rows(records, space))
    for record, own in zip(rebuilt, records, strict=True):
        assert space.settings(record.point) == space.settings(own.point)
        record.point = dict(own.point)
    return rebuilt
