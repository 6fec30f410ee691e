"""What is kept up to date of a sweep's trials is what going through all of them finds."""

import random
from collections import Counter

from bissl_ray.search.ledger import Ledger
from bissl_ray.search.records import Record
from bissl_ray.words import Phase, Status, Step


def record(number: int, phase: Phase = Phase.EXPLORE, step: Step = Step.SEARCH) -> Record:
    return Record(f"t{number:03d}", phase, step, None, 0, {}, "tpe")


def test_it_says_what_all_records_say_whatever_happens_to_them() -> None:
    draw = random.Random(0)
    ledger = Ledger([])
    kinds = [(Phase.EXPLORE, Step.SEARCH), (Phase.CONTROL, Step.TUNING), (Phase.CONFIRM, Step.SEEDS)]
    for number in range(300):
        ledger.add(record(number, *draw.choice(kinds)))
        if ledger.open and draw.random() < 0.8:
            ends = draw.choice([*ledger.open.values()])
            # To go on after its group was lost, it stays as it is.
            ends.status = draw.choice([Status.COMPLETE, Status.PRUNED, Status.FAILED, Status.RUNNING])
            ends.objective = draw.choice([None, float("nan"), round(draw.random(), 1)])
            ledger.has_run(ends)
            ledger.has_run(ends)
        every = [*ledger.records.values()]
        assert [*ledger.open.values()] == [one for one in every if not one.ended]
        assert +ledger.ended == Counter(one.status for one in every if one.ended)
        for kind in kinds:
            assert ledger.of(*kind) == [one for one in every if (one.phase, one.step) == kind]
            assert ledger.still_open(kind[0]) == any(not one.ended for one in ledger.of(*kind))
        scored = [one for one in ledger.of(*kinds[0]) if one.scored]
        best = sorted(scored, key=lambda one: (-(one.objective or 0.0), one.trial))
        assert ledger.best(3) == best[:3] and ledger.incumbent == next(iter(best), None)


def test_names_fill_the_gap_that_a_crash_left() -> None:
    ledger = Ledger([record(0), record(2)])
    names = []
    for _ in range(3):
        names.append(ledger.new_name())
        assert ledger.new_name() == names[-1]
        ledger.add(Record(names[-1], Phase.EXPLORE, Step.SEARCH, None, 0, {}, "tpe"))
    assert names == ["t001", "t003", "t004"]


def test_entering_a_trial_twice_changes_nothing() -> None:
    ledger = Ledger([record(0)])
    ledger.add(record(0))
    assert len(ledger.of(Phase.EXPLORE, Step.SEARCH)) == len(ledger.open) == 1
