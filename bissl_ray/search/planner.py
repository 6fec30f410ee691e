"""Explore, confirm, test: what to run next, given everything that has run (docs/architecture.md, "Search").

A pure function of the records, with no Ray in it: a sweep that is resumed or extended rebuilds the records
from Parquet and goes on. BiSSL and its control are treated alike: the same number of fine-tuning runs
at the same (learning rate, weight decay) points, the same number of configurations confirmed over the same
seeds, the same number of labelled optimisation steps in every run.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Final, Literal

from bissl_ray.config.parameters import Point
from bissl_ray.config.protocol import Protocol as SweepProtocol
from bissl_ray.config.protocol import runs_of_rounds
from bissl_ray.search.ledger import Ledger
from bissl_ray.search.plans import TEST_STAGES, Plan, Proposer, RunKind, plan_of
from bissl_ray.search.population import Population, Succession
from bissl_ray.search.promotion import Rungs
from bissl_ray.search.race import Race, points_of, run_race, runs_of
from bissl_ray.search.records import Record
from bissl_ray.search.seeds import seed_runs, seeds_wanted
from bissl_ray.search.shares import share_points
from bissl_ray.winner import Contender, winner
from bissl_ray.words import Kind, Origin, Phase, Status, Step

_ORDER = tuple(Step)
_FURTHER_SEEDS: Final = 2_000_000
"""From here on further runs of a fine-tuning point are numbered: no confirmation may repeat a run that chose it."""


class Planner:
    """Decides what runs next. `next` is asked whenever a worker group is free.

    However many trials there have been, no question takes longer for it.
    """

    def __init__(
        self,
        protocol: SweepProtocol,
        proposer: Proposer,
        finetune_points: Callable[[int], list[Point]],
        records: Iterable[Record] = (),
        only: Literal[Kind.BISSL, Kind.CONTROL] | None = None,
        rungs: Rungs | Population | None = None,
        taken: Collection[str] = (),
    ):
        """Set up.

        Args:
            protocol: how many of everything.
            proposer: proposes explore points.
            finetune_points: gives the first n points of the fine-tuning search; the control tries them all, and
                BiSSL's finalists share them.
            records: what has run before, in the order proposed.
            only: run this side alone: exploring with what follows from it, or fine-tuning; None: both.
            rungs: where explore trials pause; None: they do not.
            taken: names that no further explore trial may have.
        """
        self._protocol = protocol
        self._only = only
        self._proposer = proposer
        self._finetune_points = cache(finetune_points)
        self.ledger = Ledger(records, taken)
        """All trials; `records` are those by name."""
        self._rungs = rungs
        if rungs is not None:
            for record in self.ledger.of(Phase.EXPLORE, Step.SEARCH):
                rungs.has_run(record)
        self._leaving: list[Succession] = []
        self.held_up_by: OSError | None = None
        """Why a population can't take its turn at the moment; None: nothing is in its way."""
        self._finalists: list[Record] | None = None
        self._in_flight: dict[tuple[str, bool], Plan] = {}
        self.ended_because: str | None = None
        """Why exploring ends before its last trial: no further one is proposed. None: it does not."""
        self._look_at_the_end()
        self._turn()

    @property
    def records(self) -> Mapping[str, Record]:
        """All trials, in the order in which they were proposed."""
        return self.ledger.records

    # What happened

    def ended(self, plan: Plan) -> None:
        """Say that a plan's run is over (its record has been updated)."""
        self._in_flight.pop(plan.key, None)
        self.ledger.has_run(plan.record)
        if self._rungs is not None and plan.step == Step.SEARCH:
            self._rungs.has_run(plan.record)
        self._look_at_the_end()
        self._turn()

    def end_exploring(self, because: str) -> None:
        """Propose no further explore trial; confirmation goes on with what there is."""
        if self.exploring and self._explores and not self._explore_ended():
            self.ended_because = because

    @property
    def explored(self) -> tuple[int, int]:
        """How many explore trials there have been, and how many the protocol asks for."""
        return min(len(self._explored), self._protocol.trials), self._protocol.trials

    @property
    def exploring(self) -> bool:
        """Whether further explore trials may be proposed, as long as there are any."""
        return self.ended_because is None

    def _look_at_the_end(self) -> None:
        """End exploring where the protocol's target or plateau says so."""
        p, best = self._protocol, self.ledger.incumbent
        if best is None or not self.exploring:
            return
        if p.target is not None and best.objective is not None and best.objective >= p.target:
            self.end_exploring(f"{best.trial} has reached the target")
        elif p.plateau is not None and self.ledger.without_a_better(p.plateau) >= p.plateau:
            self.end_exploring(f"{p.plateau} trials after {best.trial} have found no better one")
        elif (p.target, p.plateau) != (None, None) and self.ledger.of(Phase.CONFIRM, Step.TUNING):
            # It had ended so before; what was under way then may have changed which trial is the best.
            self.end_exploring("it had ended before")

    def _turn(self) -> None:
        """Let those of a population who are behind make room for others, once all have come to a rung."""
        if not isinstance(self._rungs, Population) or not self.exploring:
            return
        try:
            for succession in self._rungs.turns(self.records):
                self.ledger.add(succession.heir)
                if succession.loser.status == Status.PAUSED:
                    self._end(succession.loser)
                    self._leaving.append(succession)
        except OSError as error:  # the storage refuses: nobody goes on before the turn, which is tried again
            self.held_up_by = error
        else:
            self.held_up_by = None

    def _end(self, record: Record) -> None:
        record.status = Status.PRUNED
        self.ledger.has_run(record)

    def settle(self) -> list[tuple[Record, str]]:
        """Name the trials that have ended at a rung since this was asked last, and why.

        A turn that was held up is tried again. Once exploring is over, those that are left there end. One that has made
        room for another is named when that one has begun: of those that are stored as ended without, nobody could tell
        whether they were to be followed.
        """
        if self.held_up_by is not None:
            self._turn()
        begun = {name for name, _ in self._in_flight}
        gone = [s for s in self._leaving if s.heir.curve or s.heir.ended or s.heir.trial in begun]
        self._leaving = [s for s in self._leaving if s not in gone]
        left = list(self.ledger.paused.values()) if self.ledger.paused and self._explore_ended() else []
        for record in left:
            self._end(record)
        why = "exploring ended when it was" if isinstance(self._rungs, Population) else "ASHA: not among the best"
        behind = [(record, f"{why} at alternation {record.at}") for record in left]
        return [*((succession.loser, succession.reason) for succession in gone), *behind]

    @property
    def finished(self) -> bool:
        """Whether everything that the protocol asks for has run."""
        return not self._in_flight and self.held_up_by is None and self._candidate() is None

    @property
    def expected(self) -> int:
        """How many trials the sweep will have had at its end, as far as is known now."""
        return sum(self._expected().values())

    def to_come(self) -> Counter[RunKind]:
        """Runs that have not begun, looks at the test split among them, as far as is known now."""
        if self.finished:  # what is foreseen may not have come, where runs failed
            return Counter()
        looks = Counter(plan.record.phase for plan in self._test())
        begun = {key[0] for key in self._in_flight}
        waiting = Counter((r.phase, r.step) for r in self.ledger.open.values() if r.trial not in begun)
        coming: Counter[RunKind] = Counter(waiting)
        if isinstance(self._rungs, Population) and self.exploring:  # all that wait will go on, or another for them
            coming[Phase.EXPLORE, Step.SEARCH] += len(self.ledger.paused)
        for (phase, step), number in self._expected().items():
            coming[phase, step] += max(number - len(self.ledger.of(phase, step)), 0)
        ran_to_seeds = any(coming.values()) or bool(self.ledger.open)
        for phase in self._sides():
            # Before all has run it is not known who is looked at; as many as have a seed, unless some fail.
            coming[phase, Step.TEST] = self._protocol.seeds if ran_to_seeds else looks[phase]
        return +coming

    def _expected(self) -> Counter[RunKind]:
        p = self._protocol
        explored = len(self.ledger.of(Phase.EXPLORE, Step.SEARCH))
        explore = max(p.trials, explored) if self.exploring and self._explores else explored
        if self._explore_ended():
            shared = self._points_per_finalist()
            races = [self._race(points_of(finalist, numbers)) for finalist, numbers in shared.items()]
            others = [r for r in self.ledger.of(Phase.CONFIRM, Step.TUNING) if r.parent not in shared]
            tuned, tuned_control = sum(race.runs for race in races) + len(others), self._control_race().runs
            wanted = self._seeds_wanted()
            confirmed, of_control = self._seeds_of_finalists(wanted), self._seeds_of_control(wanted)
        else:
            confirmed = of_control = min(p.finalists, explore) * p.seeds
            tuned = tuned_control = runs_of_rounds(p.tuning_rounds(self._tuning_points(), p.finalists))
            of_control *= self._only is None
            tuned_control *= self._only is None
        return Counter(
            {
                (Phase.EXPLORE, Step.SEARCH): explore,
                (Phase.CONTROL, Step.TUNING): tuned_control,
                (Phase.CONFIRM, Step.TUNING): tuned,
                (Phase.CONTROL, Step.SEEDS): of_control + self._no_longer_ahead(),
                (Phase.CONFIRM, Step.SEEDS): confirmed,
            }
        )

    def _seeds_of_finalists(self, wanted: Mapping[str, int]) -> int:
        """Confirmation runs of all that are or were among the best."""
        had = Counter(run.parent for run in self.ledger.of(Phase.CONFIRM, Step.SEEDS) if run.parent is not None)
        parents = {finalist.trial for finalist in self.finalists()} | set(had)
        return sum(max(wanted.get(parent, self._protocol.seeds), had[parent]) for parent in parents)

    def _seeds_of_control(self, wanted: Mapping[str, int]) -> int:
        """Confirmation runs of the control, as many configurations as are confirmed of BiSSL's."""
        ahead = [wanted[name] for name, _ in self._best_control_tunings()]
        return sum(ahead) + (self._configurations_to_confirm() - len(ahead)) * self._protocol.seeds

    def _no_longer_ahead(self) -> int:
        """Confirmation runs of control configurations that an extension, or a further round, has put behind."""
        ahead = {parent for parent, _ in self._best_control_tunings()}
        return sum(run.parent not in ahead for run in self.ledger.of(Phase.CONTROL, Step.SEEDS)) if ahead else 0

    def _sides(self) -> list[Phase]:
        sides = {Phase.CONFIRM: Kind.BISSL, Phase.CONTROL: Kind.CONTROL}
        return [phase for phase, kind in sides.items() if self._only in (None, kind)]

    def step(self) -> Step:
        """The earliest step of the sweep that something running, or else next, belongs to."""
        coming = [*self._in_flight.values(), *filter(None, [self._candidate()])]
        return min((plan.step for plan in coming), key=_ORDER.index, default=Step.TEST)

    # What next

    def next(self) -> Plan | None:
        """The next thing to run, or None while it depends on what is still running (or all is done)."""
        plan = self._candidate()
        if plan is None:
            return None
        if plan.step == Step.SEARCH and plan.record.trial not in self.records:
            point, origin = self._proposer.ask(plan.record.trial)
            plan.record.point.update(point)
            plan.record.origin = origin
        self.ledger.add(plan.record)
        if plan.record.trial in self.ledger.paused:
            self.ledger.goes_on(plan.record)
        self._in_flight[plan.key] = plan
        return plan

    def _candidate(self) -> Plan | None:
        return next(self._candidates(), None)

    def _candidates(self) -> Iterator[Plan]:
        """What may run now, in the order in which it shall; a later kind is looked at where there is no earlier one."""
        yield from self._interrupted()
        yield from self._explore()
        yield from self._control_tuning()
        yield from self._finalist_tuning()
        wanted = self._seeds_wanted()
        yield from self._seeds(Phase.CONTROL, self._best_control_tunings(), wanted)
        yield from self._seeds(Phase.CONFIRM, self._tuned_finalists(), wanted)
        yield from self._test()

    def _interrupted(self) -> Iterator[Plan]:
        for record in list(self.ledger.open.values()):
            if (record.trial, False) not in self._in_flight:
                yield self._plan(record)

    def _explore_open(self) -> bool:
        return self.exploring and self._explores and len(self._explored) < self._protocol.trials

    @property
    def _explores(self) -> bool:
        return self._only != Kind.CONTROL

    def _explore(self) -> Iterator[Plan]:
        going_on = self._going_on()
        if going_on is not None:
            yield self._plan(going_on)
        if self._explore_open():
            name = self.ledger.new_name()
            yield self._plan(Record(name, Phase.EXPLORE, Step.SEARCH, None, self._protocol.seed, {}, "?"))

    def _control_tuning(self) -> Iterator[Plan]:
        points = self._finetune_points(self._control_points())
        for name, seeds in self._control_race().wanted.items():
            point = points[int(name.removeprefix(f"{Phase.CONTROL}-f"))]
            yield from self._tuning(name, Phase.CONTROL, None, point, seeds)

    def _finalist_tuning(self) -> Iterator[Plan]:
        for finalist, numbers in self._points_per_finalist().items():
            points = self._finetune_points(max(numbers) + 1)
            for name, seeds in self._race(points_of(finalist, numbers)).wanted.items():
                point = {**self.records[finalist].point, **points[int(name.removeprefix(f"{finalist}-f"))]}
                yield from self._tuning(name, Phase.CONFIRM, finalist, point, seeds)

    def _tuning(self, name: str, phase: Phase, parent: str | None, point: Point, seeds: int) -> Iterator[Plan]:
        """A point's runs; of the control, which has no finalist, the first is the parent of the others."""
        yield from self._new(name, phase, Step.TUNING, parent, 0, point)
        for s, run in enumerate(runs_of(name, seeds)[1:], start=_FURTHER_SEEDS):
            yield from self._new(run, phase, Step.TUNING, parent or name, s, point)

    def _seeds(
        self, phase: Phase, configurations: Iterable[tuple[str, Point]], wanted: Mapping[str, int]
    ) -> Iterator[Plan]:
        for parent, point in configurations:
            for s, name in seed_runs(parent, wanted[parent], self._protocol):
                yield from self._new(name, phase, Step.SEEDS, parent, s, point)

    def _seeds_wanted(self) -> dict[str, int]:
        """How many seeds each configuration that is confirmed is to have."""
        sides = [[name for name, _ in found] for found in (self._tuned_finalists(), self._best_control_tunings())]
        tuned = not any(record.step == Step.TUNING for record in self.ledger.open.values())
        return seeds_wanted(sides, self.records, self._protocol, tuned)

    def _test(self) -> Iterator[Plan]:
        if not self.ledger.open:
            for record in [*self.confirmed(Phase.CONFIRM), *self.confirmed(Phase.CONTROL)]:
                plan = Plan(record, TEST_STAGES, start=record.trial)
                if record.test_metric is None and plan.key not in self._in_flight:
                    yield plan

    # Who is ahead

    def finalists(self) -> list[Record]:
        """The best explore trials, once all of them have ended."""
        if not self._explore_ended():
            self._finalists = None
            return []
        if self._finalists is None:
            best = self.ledger.best if self._protocol.trade_off is None else self.ledger.front
            self._finalists = best(self._protocol.finalists)
        return self._finalists

    def _tuned_finalists(self) -> list[tuple[str, Point]]:
        races = {f: self._race(points_of(f, numbers)) for f, numbers in self._points_per_finalist().items()}
        return [(finalist, race.best[0].point) for finalist, race in races.items() if race.best]

    def _best_control_tunings(self) -> list[tuple[str, Point]]:
        best = self._control_race().best if self._explore_ended() else []
        return [(run.trial, run.point) for run in best[: self._configurations_to_confirm()]]

    def _control_race(self) -> Race:
        # How many are confirmed is known when exploring has ended; the first round is the same for any number.
        places = max(self._configurations_to_confirm(), 1) if self._explore_ended() else None
        return self._race(points_of(Phase.CONTROL, range(self._control_points())), places)

    def _race(self, names: list[str], places: int | None = 1) -> Race:
        return run_race(names, self._protocol.tuning_rounds(len(names), places or 1), self.records, places is None)

    def confirmed(self, phase: Literal[Phase.CONFIRM, Phase.CONTROL]) -> list[Record]:
        """The finished confirmation runs of the best configuration: BiSSL's winner, or the control's."""
        runs: dict[str, list[Record]] = {}
        for record in self.ledger.of(phase, Step.SEEDS):
            if record.scored and record.parent is not None:
                runs.setdefault(record.parent, []).append(record)
        best = winner(Contender(name, [run.objective or 0.0 for run in own]) for name, own in runs.items())
        return [] if best is None else runs[best.name]

    # Small helpers

    @property
    def _explored(self) -> list[Record]:
        return self.ledger.of(Phase.EXPLORE, Step.SEARCH)

    def _explore_ended(self) -> bool:
        over = not self._explore_open() and not self.ledger.still_open(Phase.EXPLORE)
        return over and self._going_on() is None

    def _going_on(self) -> Record | None:
        """The paused trial that goes on next."""
        if self._rungs is None:
            return None
        promoted = self._rungs.goes_on() if self.exploring else None
        if promoted is not None or self._explore_open() or self.ledger.still_open(Phase.EXPLORE):
            return promoted
        # Of few trials no share of a rung may be a whole one: as many as are confirmed go on to their end.
        wanted = self._protocol.finalists if self.exploring else 1
        return self._rungs.best_left() if self.ledger.to_the_end < wanted else None

    # As many on both sides

    def _points_per_finalist(self) -> dict[str, list[int]]:
        """Numbers of the fine-tuning points that each finalist is to try."""
        before = list(
            dict.fromkeys(r.parent for r in self.ledger.of(Phase.CONFIRM, Step.TUNING) if r.parent is not None)
        )
        names = [finalist.trial for finalist in self.finalists()]
        return share_points(names, before, self._protocol.finalists, self._protocol.finetune_runs)

    def _finalist_points(self) -> int:
        """Fine-tuning points of BiSSL's side: those that were, and those still to come."""
        due = {f"{finalist}-f{i}" for finalist, numbers in self._points_per_finalist().items() for i in numbers}
        return len(due | {run.trial for run in self.ledger.of(Phase.CONFIRM, Step.TUNING) if self._is_first(run)})

    def _is_first(self, run: Record) -> bool:
        """Whether a fine-tuning run is its point's first: the others have further seeds."""
        return run.seed == self._protocol.seed

    def _control_points(self) -> int:
        """Fine-tuning points of the control: as many."""
        return 0 if self._only == Kind.BISSL else self._tuning_points()

    def _tuning_points(self) -> int:
        """Fine-tuning points that the protocol asks for, or more where a sweep that was extended has had more."""
        return max(self._protocol.finalists * self._protocol.finetune_runs, self._finalist_points())

    def _configurations_to_confirm(self) -> int:
        """Configurations of the control that go through the seeds: as many as of BiSSL's, at least one."""
        if self._only is not None:
            p = self._protocol
            return 0 if self._explores else min(p.finalists, p.trials)
        return max(1, self._confirmed_parents())

    def _confirmed_parents(self) -> int:
        finalists = {finalist.trial for finalist in self.finalists()}
        return len(finalists | {record.parent for record in self.ledger.of(Phase.CONFIRM, Step.SEEDS)})

    def _new(self, name: str, phase: Phase, step: Step, parent: str | None, seed: int, point: Point) -> Iterator[Plan]:
        """A trial that hasn't been yet; its seed is counted from the protocol's."""
        if name not in self.records:
            seed += self._protocol.seed
            yield self._plan(Record(name, phase, step, parent, seed, dict(point), Origin(step)))

    def _plan(self, record: Record) -> Plan:
        until = self._rungs.until(record) if self._rungs is not None and record.step == Step.SEARCH else None
        return plan_of(record, until)
