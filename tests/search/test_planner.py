"""Explore, tune, confirm, test: BiSSL and its control alike, whatever fails, wherever it is interrupted."""

import copy
import math
from collections import Counter
from functools import partial

import pytest

from bissl_ray.search.history import is_finished
from bissl_ray.search.planner import Planner
from bissl_ray.search.plans import TEST_STAGES
from bissl_ray.search.proposals import finetune_points
from bissl_ray.search.records import Record
from tests.search.small_space import FINETUNE, space
from tests.search.whole_sweep import ByName, WholeSweep, from_store, share

TRIALS, FINALISTS, RUNS, SEEDS = 6, 2, 3, 2  # small_space.PROTOCOL


def tuned(records):
    """The (learning rate, weight decay) points of some records."""
    return sorted(tuple(record.point[name] for name in FINETUNE) for record in records)


def test_steps_follow_each_other():
    sweep = WholeSweep(space()).run()
    order = [(plan.record.phase, "test" if plan.stages == TEST_STAGES else plan.record.step) for plan in sweep.started]
    assert order == [
        *[("explore", "search")] * TRIALS,
        *[("control", "tuning")] * FINALISTS * RUNS,
        *[("confirm", "tuning")] * FINALISTS * RUNS,
        *[("control", "seeds")] * FINALISTS * SEEDS,
        *[("confirm", "seeds")] * FINALISTS * SEEDS,
        *[("confirm", "test")] * SEEDS,
        *[("control", "test")] * SEEDS,
    ]
    order = ("search", "tuning", "seeds", "test")
    assert list(dict.fromkeys(sweep.steps)) == list(order)
    assert sweep.steps == sorted(sweep.steps, key=order.index)


@pytest.mark.parametrize("slots", [1, 2, 5, 50])
def test_bissl_and_control_get_the_same(slots):
    sweep = WholeSweep(space(), slots, seed=slots).run()
    assert len(sweep.of("confirm", "tuning")) == len(sweep.of("control", "tuning")) == FINALISTS * RUNS
    assert tuned(sweep.of("confirm", "tuning")) == tuned(sweep.of("control", "tuning"))
    assert len(set(tuned(sweep.of("control", "tuning")))) == FINALISTS * RUNS
    assert len(sweep.of("confirm", "seeds")) == len(sweep.of("control", "seeds")) == FINALISTS * SEEDS
    for phase in ("confirm", "control"):
        seeds = Counter((record.parent, record.seed) for record in sweep.of(phase, "seeds"))
        assert set(seeds.values()) == {1}
        assert {seed for _, seed in seeds} == {1, 2}
    # What was tuned with the sweep's seed is confirmed with others, and nothing else changes.
    best = {r.parent: r for r in sorted(sweep.of("confirm", "tuning"), key=lambda r: r.objective)}
    for record in sweep.of("confirm", "seeds"):
        assert record.point == best[record.parent].point
    assert len({record.trial for record in sweep.records.values()}) == len(sweep.records)


def test_choices_of_what_follows_the_alignment_are_the_same_for_both_and_spread_evenly():
    follows = {
        "finetune_part": {"type": "categorical", "choices": ["all", "head"]},
        "finetune_from": {"type": "categorical", "choices": ["lower", "upper"]},
        "finetune_l2_sp": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
    }
    sweep = WholeSweep(space({"finetune_runs": 4}, finetune_parameters=follows)).run()
    sides = [
        sorted(tuple(record.point[name] for name in follows) for record in sweep.of(phase, "tuning"))
        for phase in ("confirm", "control")
    ]
    assert sides[0] == sides[1] and len(set(sides[0])) == 8
    # A Sobol sequence: eight points hold each of the four pairs of choices twice.
    assert set(Counter(point[:2] for point in sides[0]).values()) == {2}
    for record in [*sweep.of("confirm", "seeds"), *sweep.of("control", "seeds")]:
        assert tuple(record.point[name] for name in follows) in sides[0]


def mean_of(runs, name, seeds):
    """Mean objective of the first so many runs of a fine-tuning point."""
    return sum(runs[run].objective for run in [name, *(f"{name}-r{s}" for s in range(1, seeds))]) / seeds


@pytest.mark.parametrize("slots", [1, 3, 50])
def test_of_points_on_several_seeds_the_better_half_runs_on_and_the_best_mean_is_confirmed(slots):
    sweep = WholeSweep(space({"finetune_seeds": 3}), slots, seed=slots)
    assert sweep.planner.expected == TRIALS + 2 * FINALISTS * (RUNS * 3 + 2 * 3 + SEEDS)
    assert sweep.planner.expected == TRIALS + 2 * (sweep.protocol.tuning_runs + FINALISTS * SEEDS)
    sweep.run()
    assert len(sweep.records) == sweep.planner.expected == TRIALS + 2 * FINALISTS * (RUNS * 3 + 2 * 3 + SEEDS)
    assert not sweep.planner.to_come()
    runs, finalists = sweep.records, {r.parent for r in sweep.of("confirm", "tuning")}
    searches = [[n for n in (f"{f}-f{i}" for i in range(FINALISTS * RUNS)) if n in runs] for f in finalists]
    for names, places in [(names, 1) for names in searches] + [([f"control-f{i}" for i in range(6)], FINALISTS)]:
        half = sorted(names, key=lambda n: -mean_of(runs, n, 3))[: 2 * places]
        assert {n for n in names if f"{n}-r5" in runs} == {n for n in names if f"{n}-r3" in runs} == set(half)
        assert not any(f"{n}-r6" in runs for n in names)
        best = sorted(half, key=lambda n: -mean_of(runs, n, 6))[:places]
        points = [runs[n].point for n in best]
        parent = best if places > 1 else [runs[best[0]].parent]
        assert {r.parent for r in runs.values() if r.step == "seeds" and r.point in points} == set(parent)
    tuning = {r.seed for r in runs.values() if r.step == "tuning"}
    # No confirmation repeats a run that had a part in the choice.
    assert len(tuning) == 6 and not tuning & {r.seed for r in runs.values() if r.step == "seeds"}


def test_rounds_of_the_fine_tuning_search():
    one, two = (space({"finetune_seeds": seeds}).protocol for seeds in (1, 2))
    assert one.tuning_rounds(6) == [(6, 1)] and one.tuning_runs == FINALISTS * RUNS
    assert two.tuning_rounds(6) == [(6, 2), (3, 4), (2, 8)]  # 12 + 6 + 8 runs
    assert two.tuning_rounds(6, places=2) == [(6, 2), (4, 4)] and two.tuning_runs == 2 * (3 * 2 + 2 * 2)
    assert two.tuning_rounds(2) == [(2, 2)] and two.tuning_rounds(1) == [(1, 2)]
    # A search that an extension has made uneven: no more points than there are.
    assert two.tuning_rounds(5, places=2) == [(5, 2), (4, 4)]


def test_a_point_that_failed_on_a_seed_comes_after_those_that_did_not():
    def chosen(failing):
        sweep = WholeSweep(
            space({"finetune_seeds": 2}), status=lambda r: "failed" if r.trial == failing else "complete"
        )
        return {record.parent for record in sweep.run().of("control", "seeds")}

    before = chosen(None)
    for point in before:
        assert point not in chosen(f"{point}-r1") and len(chosen(f"{point}-r1")) == FINALISTS


@pytest.mark.parametrize("slots", [1, 4])
def test_only_winner_and_control_are_tested_and_once(slots):
    sweep = WholeSweep(space(), slots).run()
    assert max(Counter(sweep.tested).values()) == 1
    for phase in ("confirm", "control"):
        means = {}
        for record in sweep.of(phase, "seeds"):
            means.setdefault(record.parent, []).append(record)
        winner = max(means.values(), key=lambda runs: sum(run.objective for run in runs) / len(runs))
        assert {r.trial for r in sweep.of(phase, "seeds")} & set(sweep.tested) == {r.trial for r in winner}
    assert {sweep.records[trial].step for trial in sweep.tested} == {"seeds"}
    assert [r.trial for r in sweep.records.values() if r.test_metric is not None] == [
        r.trial for r in sweep.records.values() if r.trial in sweep.tested
    ]


def test_of_level_configurations_the_first_by_name_is_tested():
    def level(sweep):
        for record in (r for r in sweep.records.values() if r.step == "seeds" and r.ended):
            record.objective = 0.5

    sweep = WholeSweep(space(), slots=2).run(before_start=level)
    for phase in ("confirm", "control"):
        parents = [record.parent for record in sweep.of(phase, "seeds")]
        tested = {sweep.records[trial].parent for trial in sweep.tested if sweep.records[trial].phase == phase}
        assert len(set(parents)) == FINALISTS and tested == {min(parents)}


def test_stages_and_starts():
    sweep = WholeSweep(space()).run()
    plans = {(plan.record.phase, plan.record.step, plan.stages): plan for plan in sweep.started}
    assert set(plans) == {
        ("explore", "search", ("head", "bissl")),
        ("control", "tuning", ("head", "finetune")),
        ("confirm", "tuning", ("finetune",)),
        ("control", "seeds", ("head", "finetune")),
        ("confirm", "seeds", ("head", "bissl", "finetune")),
        ("confirm", "seeds", TEST_STAGES),
        ("control", "seeds", TEST_STAGES),
    }
    for plan in sweep.started:
        if plan.stages == TEST_STAGES:
            assert plan.start == plan.record.trial
        elif plan.stages == ("finetune",):
            # The finalist's own aligned model.
            assert plan.start == plan.record.parent
            assert sweep.records[plan.start].step == "search"
        else:
            assert plan.start is None


def test_finalists_are_the_best():
    sweep = WholeSweep(space(), slots=3).run()
    explored = sorted(sweep.of("explore", "search"), key=lambda r: r.objective, reverse=True)
    assert sweep.planner.finalists() == explored[:FINALISTS]
    assert {r.parent for r in sweep.of("confirm", "tuning")} == {r.trial for r in explored[:FINALISTS]}
    for record in sweep.of("confirm", "tuning"):
        assert record.point.items() >= sweep.records[record.parent].point.items()


def test_expected_is_what_comes():
    sweep = WholeSweep(space(), slots=2)
    assert sweep.planner.expected == 26
    sweep.run(lambda s: pytest.fail("expected changed") if s.planner.expected != 26 else None)
    assert len(sweep.records) == 26


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("answer", ["failed", "pruned", "nan"])
@pytest.mark.parametrize(
    "where",
    [
        lambda r: r.step == "search",
        lambda r: r.step == "search" and r.trial != "t003",
        lambda r: r.phase == "control" and r.step == "tuning",
        lambda r: r.phase == "confirm" and r.step == "tuning",
        lambda r: r.phase == "control" and r.step == "seeds",
        lambda r: r.phase == "confirm" and r.step == "seeds",
        lambda r: share(r.trial, "unlucky") < 0.3,
        lambda r: True,
    ],
)  # fmt: skip
def test_whatever_ends_badly_the_sweep_ends_cleanly(where, answer, slots):
    sweep = WholeSweep(space(), slots, status=lambda r: answer if where(r) else "complete").run()
    assert all(record.ended for record in sweep.records.values())
    assert len(sweep.of("explore", "search")) == TRIALS
    good = [r for r in sweep.of("explore", "search") if not where(r)]
    finalists = {r.trial for r in sorted(good, key=lambda r: r.objective, reverse=True)[:FINALISTS]}
    assert {r.parent for r in sweep.of("confirm", "tuning")} == finalists
    # Fewer finalists share the points: BiSSL has as many runs as the control, if it has any.
    assert len(sweep.of("confirm", "tuning")) == (FINALISTS * RUNS if finalists else 0)
    assert len(sweep.of("control", "tuning")) == FINALISTS * RUNS
    # Only what was tuned successfully is confirmed, and only what was confirmed is tested.
    confirmed = {r.parent for r in sweep.of("confirm", "tuning") if not where(r)}
    assert {r.parent for r in sweep.of("confirm", "seeds")} == confirmed
    assert all(sweep.records[trial].scored for trial in sweep.tested)
    for phase in ("confirm", "control"):
        could = [r.trial for r in sweep.of(phase, "seeds") if r.scored]
        assert bool(could) == bool(set(could) & set(sweep.tested))


def test_a_test_that_fails_is_not_asked_again():
    sweep = WholeSweep(space(), slots=2, test_metric=lambda record: math.nan).run()
    assert max(Counter(sweep.tested).values()) == 1
    assert len(sweep.tested) == 2 * SEEDS


UNLUCKY = {"t001": "failed", "t002": "pruned", "control-f1": "failed"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("slots", "unlucky", "tuning_seeds"),
    [(1, {}, 1), (3, UNLUCKY, 1), (3, {**UNLUCKY, "control-f2-r1": "failed"}, 2)],
    ids=["all-complete", "some-fail", "several-seeds"],
)
def test_resuming_from_anywhere_ends_with_the_same_trials(slots, unlucky, tuning_seeds):
    def status(record):
        return unlucky.get(record.trial, "complete")

    asked = space({"finetune_seeds": tuning_seeds})
    whole = WholeSweep(asked, slots, seed=1, status=status).run()
    assert len(whole.snapshots) > 2 * len(whole.records)
    for number, records in enumerate([[], *whole.snapshots]):
        before = copy.deepcopy({r.trial: r for r in records})
        resumed = WholeSweep(asked, slots, seed=number, status=status, records=from_store(records, whole.space))
        resumed.run()
        assert resumed.outcome() == whole.outcome()
        # Nothing that had ended is run again, nothing that had been proposed is proposed again.
        again = {plan.record.trial for plan in resumed.started if plan.stages != TEST_STAGES}
        assert not again & {trial for trial, record in before.items() if record.ended}
        assert not set(resumed.proposer.asked) & set(before)
        assert not set(resumed.tested) & {trial for trial, r in before.items() if r.test_metric is not None}
        assert {r.trial: r.point for r in resumed.records.values()} == {
            r.trial: r.point for r in whole.records.values()
        }


def test_interrupted_trials_go_on_before_anything_new():
    whole = WholeSweep(space(), slots=3, seed=1).run()
    records = next(s for s in whole.snapshots if sum(not r.ended for r in s) == 3 and len(s) > TRIALS)
    interrupted = {r.trial for r in records if not r.ended}
    resumed = WholeSweep(space(), slots=1, records=records).run()
    assert {plan.record.trial for plan in resumed.started[:3]} == interrupted


def test_a_trial_that_was_lost_leaves_its_name_to_another():
    # t001 was proposed before t002, but the crash came before its row was written.
    records = [
        Record(name, "explore", "search", None, 0, {"lower_lr": 1.0}, "tpe", "complete", 0.5)
        for name in ("t000", "t002")
    ]
    sweep = WholeSweep(space(), records=records).run()
    assert sweep.proposer.asked == ["t001", "t003", "t004", "t005"]
    assert len(sweep.of("explore", "search")) == TRIALS
    assert all(record.objective is not None for record in records)


@pytest.mark.parametrize("more", [1, 4, 20])
def test_a_finished_sweep_can_be_extended(more):
    first = WholeSweep(space(), slots=2).run()
    before = first.outcome()
    extended = WholeSweep(space(protocol={"trials": TRIALS + more}), slots=2, records=first.snapshots[-1]).run()
    assert len(extended.of("explore", "search")) == TRIALS + more
    assert len(extended.proposer.asked) == more
    assert {trial: extended.outcome()[trial] for trial in before} == before
    # Whoever is a finalist now has been tuned at as many points of its own and confirmed on all seeds.
    for finalist in extended.planner.finalists():
        runs = [r for r in extended.of("confirm", "tuning") if r.parent == finalist.trial]
        assert len(set(tuned(runs))) == len(runs) == RUNS
        assert {r.seed for r in extended.of("confirm", "seeds") if r.parent == finalist.trial} == {1, 2}
    # And the control has kept up.
    for step in ("tuning", "seeds"):
        assert len(extended.of("control", step)) == len(extended.of("confirm", step))
    assert not set(extended.tested) & set(first.tested)
    assert WholeSweep(space(protocol={"trials": TRIALS + more}), records=extended.snapshots[-1]).planner.finished


@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_spent_budget_ends_exploring_and_nothing_else(after):
    def spend(sweep):
        if len(sweep.records) >= after:
            sweep.planner.end_exploring("the budget is spent")

    sweep = WholeSweep(space(), slots=1).run(spend)
    explored = len(sweep.of("explore", "search"))
    assert explored == after
    assert len(sweep.of("confirm", "tuning")) == (FINALISTS * RUNS if explored else 0)
    assert len(sweep.of("control", "tuning")) == FINALISTS * RUNS
    if explored:
        assert len(sweep.of("confirm", "seeds")) == len(sweep.of("control", "seeds")) == min(FINALISTS, after) * SEEDS
        assert len(sweep.records) == sweep.planner.expected
    assert bool(sweep.tested)


def best_explored(sweep):
    return max(sweep.of("explore", "search"), key=lambda record: record.objective)


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("plateau", [1, 3, 5])
def test_exploring_ends_when_so_many_trials_after_the_best_found_no_better(plateau, slots):
    asked = space(protocol={"trials": 60, "plateau": plateau})
    sweep = WholeSweep(asked, slots=slots).run()
    explored = sweep.of("explore", "search")
    after = len(explored) - 1 - explored.index(best_explored(sweep))
    # What was under way when it was enough goes to its end, and may be better.
    assert after >= plateau or slots > 1
    assert after < plateau + slots
    assert len(explored) < 60
    assert f"{plateau} trials after" in sweep.planner.ended_because
    assert len(sweep.records) == sweep.planner.expected
    assert sweep.planner.finished and sweep.tested


def test_a_plateau_is_the_same_after_every_interruption():
    asked = space(protocol={"trials": 60, "plateau": 3})
    whole = WholeSweep(asked).run()
    for snapshot in whole.snapshots:
        again = WholeSweep(asked, records=snapshot).run()
        assert again.records.keys() == whole.records.keys()
    assert WholeSweep(asked, records=whole.snapshots[-1]).planner.finished


@pytest.mark.parametrize("slots", [1, 3])
def test_once_confirming_no_interruption_goes_back_to_exploring(slots):
    asked = space(protocol={"trials": 60, "plateau": 2})
    whole = WholeSweep(asked, slots=slots).run()
    explored = len(whole.of("explore", "search"))
    confirming = [s for s in whole.snapshots if any((r.phase, r.step) == ("confirm", "tuning") for r in s)]
    for snapshot in confirming:
        assert len(WholeSweep(asked, slots=slots, records=snapshot).run().of("explore", "search")) == explored


def test_exploring_ends_with_the_first_trial_that_reaches_the_target():
    scores = [record.objective for record in WholeSweep(space(protocol={"trials": 60})).run().of("explore", "search")]
    target = sorted(scores)[-4]
    sweep = WholeSweep(space(protocol={"trials": 60, "target": target})).run()
    explored = [record.objective for record in sweep.of("explore", "search")]
    assert explored == scores[: len(explored)]
    assert explored[-1] >= target
    assert max(explored[:-1]) < target
    assert sweep.planner.ended_because.endswith("has reached the target")


def test_failed_trials_make_no_plateau():
    asked = space(protocol={"trials": 12, "plateau": 3})
    sweep = WholeSweep(asked, status=lambda record: "complete" if record.trial == "t000" else "failed").run()
    assert len(sweep.of("explore", "search")) == 12
    assert sweep.planner.ended_because is None


@pytest.mark.parametrize(("metric", "finished"), [(0.5, True), (math.nan, False)])
def test_a_sweep_whose_look_at_the_test_split_failed_is_not_finished(metric, finished):
    sweep = WholeSweep(space(), test_metric=lambda record: metric).run()
    assert sweep.planner.finished and is_finished(sweep.planner) is finished
    assert any(record.test_metric is None for record in sweep.planner.records.values())


def test_asking_whether_it_is_finished_changes_nothing():
    proposer = ByName()
    planner = Planner(space().protocol, proposer, partial(finetune_points, space()))
    assert [planner.finished for _ in range(3)] == [False] * 3
    assert planner.step() == "search"
    assert (planner.records, proposer.asked) == ({}, [])
