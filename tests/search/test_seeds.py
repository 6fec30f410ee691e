"""Seeds are added where they decide, the same whatever the order of ends, an interruption or an extension."""

from typing import Any

import pytest

from bissl_ray.search.records import Record
from tests.search.small_space import space
from tests.search.whole_sweep import WholeSweep, share

ROUNDS: dict[str, Any] = {"trials": 6, "finalists": 2, "finetune_runs": 1, "seeds": 3, "most_seeds": 12}


def scored(**means: float):
    """Scores by mean: of the best explored first, and of the control; seeds differ by a tenth."""

    def score(record: Record) -> float:
        noise = 0.1 * share(record.trial, record.seed)
        if record.step != "seeds":
            return share(record.trial, "explored")
        known = means.get("control" if record.phase == "control" else record.parent or "", means["other"])
        return known + noise

    return score


def seeds(sweep: WholeSweep, phase: str) -> dict[str, int]:
    runs = [record.parent for record in sweep.of(phase, "seeds")]
    return {parent: runs.count(parent) for parent in dict.fromkeys(runs)}


def sweep(score, records=None, slots=1, seed=0, **protocol: Any) -> WholeSweep:
    return WholeSweep(
        space(protocol={**ROUNDS, **protocol}), slots=slots, seed=seed, score=score, records=records
    ).run()


def finalists() -> list[str]:
    return [record.trial for record in sweep(scored(other=0.5)).planner.finalists()]


FIRST, SECOND = finalists()


def test_where_all_is_apart_nobody_gets_more():
    ended = sweep(scored(**{FIRST: 2.0, SECOND: 1.0, "control": 0.0, "other": 0.0}))
    assert seeds(ended, "confirm") == {FIRST: 3, SECOND: 3}
    assert len(ended.records) == ended.planner.expected


def test_two_close_finalists_get_more_until_the_most_and_one_that_is_behind_does_not():
    ended = sweep(scored(**{FIRST: 1.0, SECOND: 1.0, "control": 0.0, "other": 0.0}), finalists=3)
    counts = seeds(ended, "confirm")
    assert counts.pop(FIRST) == counts.pop(SECOND) == 12
    assert set(counts.values()) == {3}
    assert {int(run.trial.rpartition("-s")[2]) for run in ended.of("confirm", "seeds") if run.parent == FIRST} == set(
        range(1, 13)
    )


def test_a_winner_that_is_close_to_the_control_is_paired_with_it_over_as_many():
    ended = sweep(scored(**{FIRST: 1.0, SECOND: 0.0, "control": 1.0, "other": 1.0}))
    counts = seeds(ended, "control")
    assert seeds(ended, "confirm") == {FIRST: 12, SECOND: 3}
    assert max(counts.values()) == 12
    assert {record.parent for record in map(ended.records.get, ended.tested)} >= {FIRST}


def test_without_most_seeds_all_get_as_many():
    ended = sweep(scored(other=1.0), most_seeds=None)
    assert set(seeds(ended, "confirm").values()) == set(seeds(ended, "control").values()) == {3}


def test_a_lower_level_is_content_with_fewer():
    score = scored(**{FIRST: 1.05, SECOND: 1.0, "control": 0.0, "other": 0.0})
    strict, lax = (sweep(score, separation=level) for level in (0.999, 0.6))
    assert seeds(lax, "confirm")[SECOND] < seeds(strict, "confirm")[SECOND]


@pytest.mark.parametrize("slots", [1, 2, 5])
@pytest.mark.parametrize("order", range(3))
def test_the_order_in_which_runs_end_changes_nothing(slots, order):
    score = scored(**{FIRST: 1.0, SECOND: 1.02, "control": 1.01, "other": 1.0})
    one = sweep(score)
    other = sweep(score, slots=slots, seed=order)
    assert seeds(one, "confirm") == seeds(other, "confirm")
    assert seeds(one, "control") == seeds(other, "control")
    assert sorted(one.tested) == sorted(other.tested)
    assert len(other.records) == other.planner.expected


@pytest.mark.slow
def test_an_interruption_anywhere_changes_nothing():
    score = scored(**{FIRST: 1.0, SECOND: 1.02, "control": 1.01, "other": 1.0})
    whole = sweep(score)
    for snapshot in whole.snapshots:
        assert sweep(score, records=snapshot).outcome() == whole.outcome()


def test_a_seed_that_failed_does_not_hold_up_the_rest():
    score = scored(**{FIRST: 1.0, SECOND: 1.0, "control": 0.0, "other": 0.0})
    asked = space(protocol=ROUNDS)
    ended = WholeSweep(
        asked, score=score, status=lambda record: "failed" if record.trial == f"{FIRST}-s2" else "complete"
    ).run()
    assert seeds(ended, "confirm") == {FIRST: 12, SECOND: 12}
    assert {record.parent for record in map(ended.records.get, ended.tested) if record.phase == "confirm"} == {SECOND}


def test_who_is_ahead_after_an_extension_has_as_many_as_those_before_it():
    """Else the rule that counts finished seeds would put the earlier one first."""
    score = scored(**{FIRST: 1.0, SECOND: 1.0, "control": 0.0, "other": 3.0})
    first = sweep(score)
    assert seeds(first, "confirm")[FIRST] == 12

    def higher(record: Record) -> float:
        new = record.step == "search" and int(record.trial[1:]) >= 6
        return 2.0 + share(record.trial) if new else score(record)

    extended = sweep(higher, records=first.snapshots[-1], trials=12)
    best = extended.planner.confirmed("confirm")
    assert best[0].parent not in (FIRST, SECOND)
    assert len(best) == 12
    assert len(extended.records) == extended.planner.expected
    assert extended.planner.finished
