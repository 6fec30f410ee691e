"""Explore, confirm, test: what to run next, given everything that has run (DESIGN section 5).

A pure function of the records, with no Ray in it: a sweep that is resumed or extended rebuilds the records
from Parquet and goes on. BiSSL and its control are treated alike: the same number of fine-tuning runs
at the same (learning rate, weight decay) points, the same number of configurations confirmed over the same
seeds, the same number of labelled optimisation steps in every run.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from statistics import fmean
from typing import Any, Literal, Protocol

from bissl_ray.config.protocol import Protocol as SweepProtocol
from bissl_ray.search.records import Phase, Record, Step
from bissl_ray.search.shares import deal

CONTROL = "control"
STAGES: dict[tuple[Phase, Step], tuple[str, ...]] = {
    ("explore", "search"): ("head", "bissl"),
    ("confirm", "tuning"): ("finetune",),
    ("confirm", "seeds"): ("head", "bissl", "finetune"),
    ("control", "tuning"): ("head", "finetune"),
    ("control", "seeds"): ("head", "finetune"),
}
TEST_STAGES = ("test",)
Stage = Literal["search", "tuning", "seeds", "test"]
_STAGE_ORDER: tuple[Stage, ...] = ("search", "tuning", "seeds", "test")


class Proposer(Protocol):
    """Where explore points come from: Optuna in a sweep."""

    def ask(self, trial: str) -> tuple[dict[str, Any], str]:
        """Return a point for this trial, and who proposed it."""
        ...


@dataclass(frozen=True)
class Plan:
    """One thing to run: a trial, or the test of a finished one (then `stages` is TEST_STAGES)."""

    record: Record
    stages: tuple[str, ...]
    start: str | None
    """Trial whose final models it starts from; None: the pretrained checkpoint."""


class Planner:
    """Decides what runs next. `next` is asked whenever a worker group is free."""

    def __init__(
        self,
        protocol: SweepProtocol,
        proposer: Proposer,
        finetune_points: Callable[[int], list[dict[str, Any]]],
        records: Iterable[Record] = (),
    ):
        """Set up.

        Args:
            protocol: how many of everything.
            proposer: proposes explore points.
            finetune_points: gives the first n points of the fine-tuning search; the control tries them all, and
                they are dealt out among BiSSL's finalists.
            records: what has run before, in the order proposed.
        """
        self._protocol = protocol
        self._proposer = proposer
        self._finetune_points = finetune_points
        self.records: dict[str, Record] = {record.trial: record for record in records}
        self._in_flight: dict[tuple[str, bool], Plan] = {}
        self.exploring = True
        """Set to False when the budget is spent: no further explore trial is proposed."""

    # What happened

    def ended(self, plan: Plan) -> None:
        """Say that a plan's run is over (its record has been updated)."""
        self._in_flight.pop(_key(plan), None)

    @property
    def finished(self) -> bool:
        """Whether everything that the protocol asks for has run."""
        return not self._in_flight and self._candidate() is None

    @property
    def expected(self) -> int:
        """How many trials the sweep will have had at its end, as far as is known now."""
        p = self._protocol
        explored = self._of("explore")
        explore = max(p.trials, len(explored)) if self.exploring else len(explored)
        tuned = {"control": self._control_points(), "confirm": self._finalist_points()}
        if self._explore_ended():
            confirmed = self._confirmed_parents() + self._configurations_to_confirm()
        else:
            confirmed = 2 * min(p.finalists, explore)
            tuned["confirm"] = tuned["control"]
        return explore + sum(tuned.values()) + confirmed * p.seeds

    def phase(self) -> Stage:
        """The earliest stage of the sweep that something running, or else next, belongs to."""
        coming = [*self._in_flight.values(), *filter(None, [self._candidate()])]
        return min((_stage(plan) for plan in coming), key=_STAGE_ORDER.index, default="test")

    # What next

    def next(self) -> Plan | None:
        """The next thing to run, or None while it depends on what is still running (or all is done)."""
        plan = self._candidate()
        if plan is None:
            return None
        if plan.record.step == "search" and plan.record.trial not in self.records:
            point, origin = self._proposer.ask(plan.record.trial)
            plan.record.point.update(point)
            plan.record.origin = origin
        self.records[plan.record.trial] = plan.record
        self._in_flight[_key(plan)] = plan
        return plan

    def _candidate(self) -> Plan | None:
        return (
            self._interrupted()
            or self._explore()
            or self._control_tuning()
            or self._finalist_tuning()
            or self._seeds("control", self._best_control_tunings())
            or self._seeds("confirm", self._tuned_finalists())
            or self._test()
        )

    def _interrupted(self) -> Plan | None:
        for record in self.records.values():
            if not record.ended and (record.trial, False) not in self._in_flight:
                return self._plan(record)
        return None

    def _explore_open(self) -> bool:
        return self.exploring and len(self._of("explore")) < self._protocol.trials

    def _explore(self) -> Plan | None:
        if not self._explore_open():
            return None
        # Not simply their number: of trials proposed together, a crash may have kept a later one only.
        name = next(name for i in count() if (name := f"t{i:03d}") not in self.records)
        return self._plan(Record(name, "explore", "search", None, self._protocol.seed, {}, "?"))

    def _control_tuning(self) -> Plan | None:
        for i, point in enumerate(self._finetune_points(self._control_points())):
            plan = self._new(f"{CONTROL}-f{i}", "control", "tuning", None, self._protocol.seed, point)
            if plan is not None:
                return plan
        return None

    def _finalist_tuning(self) -> Plan | None:
        for finalist, hand in self._hands().items():
            points = self._finetune_points(max(hand) + 1)
            for i in hand:
                merged = {**self.records[finalist].point, **points[i]}
                plan = self._new(f"{finalist}-f{i}", "confirm", "tuning", finalist, self._protocol.seed, merged)
                if plan is not None:
                    return plan
        return None

    def _seeds(self, phase: Phase, winners: list[tuple[str, dict[str, Any]]]) -> Plan | None:
        for parent, point in winners:
            first = self._protocol.first_seed
            for s in range(first, first + self._protocol.seeds):
                seed = self._protocol.seed + s
                if (plan := self._new(f"{parent}-s{s}", phase, "seeds", parent, seed, point)) is not None:
                    return plan
        return None

    def _test(self) -> Plan | None:
        if any(not record.ended for record in self.records.values()):
            return None
        for phase in ("confirm", "control"):
            for record in self.confirmed(phase):
                if record.test_metric is None and (record.trial, True) not in self._in_flight:
                    return Plan(record, TEST_STAGES, start=record.trial)
        return None

    # Who is ahead

    def finalists(self) -> list[Record]:
        """The best explore trials, once all of them have ended."""
        if not self._explore_ended():
            return []
        return _best([record for record in self._of("explore") if record.scored])[: self._protocol.finalists]

    def _tuned_finalists(self) -> list[tuple[str, dict[str, Any]]]:
        chosen = []
        for finalist, hand in self._hands().items():
            runs = [self.records.get(f"{finalist}-f{i}") for i in hand]
            best = _best([run for run in runs if run is not None and run.scored])
            if best and all(run is not None and run.ended for run in runs):
                chosen.append((finalist, best[0].point))
        return chosen

    def _best_control_tunings(self) -> list[tuple[str, dict[str, Any]]]:
        runs = self._of("control", "tuning")
        if not self._explore_ended() or len(runs) < self._control_points() or any(not run.ended for run in runs):
            return []
        best = _best([run for run in runs if run.scored])
        return [(run.trial, run.point) for run in best[: self._configurations_to_confirm()]]

    def confirmed(self, phase: Literal["confirm", "control"]) -> list[Record]:
        """The seeds runs of the best configuration by mean objective: the winner's, or the control's.

        Of configurations that are level, the first by name: the board (leaderboard.configurations) must name the same.
        """
        groups: dict[str, list[Record]] = {}
        for record in self._of(phase, "seeds"):
            if record.scored and record.parent is not None:
                groups.setdefault(record.parent, []).append(record)
        if not groups:
            return []
        # A run that failed counts against its configuration: one good seed must not win for four that diverged.
        return groups[min(groups, key=lambda name: (-len(groups[name]), -_mean_objective(groups[name]), name))]

    # Small helpers

    def _of(self, phase: Phase, step: Step | None = None) -> list[Record]:
        return [r for r in self.records.values() if r.phase == phase and (step is None or r.step == step)]

    def _explore_ended(self) -> bool:
        return not self._explore_open() and all(record.ended for record in self._of("explore"))

    # As many on both sides

    def _hands(self) -> dict[str, list[int]]:
        """Numbers of the fine-tuning points that each finalist is to try."""
        dealt = list(dict.fromkeys(r.parent for r in self._of("confirm", "tuning") if r.parent is not None))
        names = [finalist.trial for finalist in self.finalists()]
        return deal(names, dealt, self._protocol.finalists, self._protocol.finetune_runs)

    def _finalist_points(self) -> int:
        """Fine-tuning runs of BiSSL's side: those that were, and those still to come."""
        due = {f"{finalist}-f{i}" for finalist, hand in self._hands().items() for i in hand}
        return len(due | {record.trial for record in self._of("confirm", "tuning")})

    def _control_points(self) -> int:
        """Fine-tuning runs of the control: as many."""
        return max(self._protocol.finalists * self._protocol.finetune_runs, self._finalist_points())

    def _configurations_to_confirm(self) -> int:
        """Configurations of the control that go through the seeds: as many as of BiSSL's, at least one."""
        return max(1, self._confirmed_parents())

    def _confirmed_parents(self) -> int:
        finalists = {finalist.trial for finalist in self.finalists()}
        return len(finalists | {record.parent for record in self._of("confirm", "seeds")})

    def _new(
        self, name: str, phase: Phase, step: Step, parent: str | None, seed: int, point: dict[str, Any]
    ) -> Plan | None:
        if name in self.records:
            return None
        return self._plan(Record(name, phase, step, parent, seed, dict(point), step))

    def _plan(self, record: Record) -> Plan:
        start = record.parent if (record.phase, record.step) == ("confirm", "tuning") else None
        return Plan(record, STAGES[record.phase, record.step], start)


def _stage(plan: Plan) -> Stage:
    return "test" if plan.stages == TEST_STAGES else plan.record.step


def _key(plan: Plan) -> tuple[str, bool]:
    return plan.record.trial, plan.stages == TEST_STAGES


def _mean_objective(runs: list[Record]) -> float:
    return fmean(run.objective or 0.0 for run in runs)


def _best(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda r: (-(r.objective or 0.0), r.trial))
