"""ASHA stops explore trials that fall behind, and nothing else; its rungs survive a resume."""

import math
import random

import numpy as np
import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from bissl_ray.config.protocol import Protocol
from bissl_ray.search.brackets import Brackets
from bissl_ray.search.records import Record
from bissl_ray.sweep.scheduler import ExploreASHA

ALTERNATIONS = 9


def scheduler(history=(), **protocol):
    numbers = {"grace": 1, "reduction_factor": 3, **protocol}
    return ExploreASHA(Protocol.model_validate(numbers), ALTERNATIONS, history)


def tune_trial(name, explore=True, alternations=ALTERNATIONS):
    return Trial("x", config={"trial": name, "explore": explore, "alternations": alternations}, stub=True)


def live(asha, name, slope, explore=True, first=1):
    """Run a trial whose objective grows by `slope`; the last alternation it reached and the decision there."""
    trial = tune_trial(name, explore)
    for alternation in range(first, ALTERNATIONS + 1):
        result = {"alternation": alternation, "objective": slope * alternation}
        if asha.on_trial_result(None, trial, result) == TrialScheduler.STOP:
            return alternation, "stop"
    return ALTERNATIONS, "continue"


def rungs(asha):
    return [(milestone, dict(recorded)) for milestone, recorded in asha._brackets[0]._rungs]


def test_cutoffs_are_numpys_percentiles():
    drawn, factor = random.Random(3), 3
    asha = scheduler(reduction_factor=factor)
    scores = next(recorded for milestone, recorded in asha._brackets[0]._rungs if milestone == 1)
    for number in range(60):
        scores[f"t{number}"] = math.nan if number % 7 == 0 else round(drawn.random(), 2)
        told = [score for score in scores.values() if not math.isnan(score)]
        expected = np.percentile(told, (1 - 1 / factor) * 100) if told else None
        assert asha._brackets[0].cutoff(scores) == pytest.approx(expected, abs=1e-15)


def test_a_trial_that_falls_behind_is_stopped_at_a_rung():
    asha = scheduler()
    assert live(asha, "best", 0.10) == (ALTERNATIONS, "continue")
    assert live(asha, "bad", 0.01) == (1, "stop")
    assert live(asha, "better", 0.11) == (ALTERNATIONS, "continue")
    # Ahead at the first rung, behind at the second.
    trial = tune_trial("fading")
    decisions = [
        asha.on_trial_result(None, trial, {"alternation": n, "objective": value})
        for n, value in ((1, 0.5), (2, 0.0), (3, 0.0))
    ]
    assert decisions == [TrialScheduler.CONTINUE, TrialScheduler.CONTINUE, TrialScheduler.STOP]


def test_grace_is_kept():
    asha = scheduler(grace=3)
    live(asha, "best", 0.1)
    assert live(asha, "bad", 0.001) == (3, "stop")


def test_what_is_not_exploring_is_never_stopped():
    asha = scheduler()
    live(asha, "best", 0.1)
    for name in ("t000-f0", "t000-s1", "control-f0"):
        assert live(asha, name, 0.0, explore=False) == (ALTERNATIONS, "continue")
    assert {trial for _, recorded in rungs(asha) for trial in recorded} == {"best"}


def test_a_report_without_an_alternation_is_no_reason_to_stop():
    asha = scheduler()
    live(asha, "best", 0.1)
    trial = tune_trial("over")
    assert asha.on_trial_result(None, trial, {"over": "complete", "objective": 0.0}) == TrialScheduler.CONTINUE


def test_nobody_is_stopped_at_the_last_alternation():
    asha = scheduler()
    live(asha, "best", 0.1)
    trial = tune_trial("late")
    assert asha.on_trial_result(None, trial, {"alternation": 9, "objective": 0.0}) == TrialScheduler.CONTINUE
    assert all("late" not in recorded for _, recorded in rungs(asha))


def test_a_grace_beyond_the_last_alternation_stops_nobody():
    asha = scheduler(grace=50)
    live(asha, "best", 0.1)
    assert live(asha, "bad", 0.0) == (ALTERNATIONS, "continue")


def test_early_stopping_can_be_left_out():
    asha = scheduler(early_stopping=False)
    live(asha, "best", 0.1)
    assert live(asha, "bad", 0.0) == (ALTERNATIONS, "continue")


@pytest.mark.parametrize("grace", [1, 2])
def test_replayed_rungs_are_the_lived_ones(grace):
    slopes = {"t000": 0.05, "t001": 0.08, "t002": 0.01, "t003": 0.09, "t004": 0.0805}
    lived = scheduler(grace=grace)
    records = []
    for name, slope in slopes.items():
        reached, decision = live(lived, name, slope)
        curve = {n: slope * n for n in range(reached, 0, -1)}
        status = "pruned" if decision == "stop" else "complete"
        records.append(Record(name, "explore", "search", None, 0, {}, "tpe", status, slope * reached, curve=curve))
    assert {record.status for record in records} == {"pruned", "complete"}
    assert any(record.curve.keys() == set(range(1, grace + 1)) for record in records)
    replayed = scheduler(records, grace=grace)
    assert rungs(replayed) == rungs(lived)
    for slope in (0.0, 0.06, 0.0801, 0.5):
        assert live(replayed, f"new-{slope}", slope) == live(lived, f"new-{slope}", slope)


def test_a_resumed_trial_is_not_counted_twice():
    record = Record("t000", "explore", "search", None, 0, {}, "tpe", curve={1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4})
    asha = scheduler([record])
    before = rungs(asha)
    # From its last checkpoint: alternations 3 and 4 come again.
    assert live(asha, "t000", 0.1, first=3) == (ALTERNATIONS, "continue")
    assert rungs(asha) == before


def test_a_shorter_trial_is_not_stopped_at_its_own_last_alternation():
    asha = scheduler()
    live(asha, "best", 0.1)
    short = tune_trial("short", alternations=3)
    decisions = [
        asha.on_trial_result(None, short, {"alternation": n, "objective": value})
        for n, value in ((1, 0.5), (2, 0.0), (3, 0.0))
    ]
    assert decisions == [TrialScheduler.CONTINUE] * 3


def test_trials_of_another_bracket_start_at_a_later_rung_and_are_compared_among_themselves():
    asha = scheduler(brackets=2)
    dealt = Brackets(Protocol(grace=1, brackets=2), ALTERNATIONS)
    first = [f"t{i}" for i in range(12) if dealt.of(f"t{i}") == 0]
    later = [f"t{i}" for i in range(12) if dealt.of(f"t{i}") == 1]
    assert live(asha, first[0], 0.10) == live(asha, later[0], 0.05) == (ALTERNATIONS, "continue")
    assert live(asha, first[1], 0.01) == (1, "stop")
    assert live(asha, later[1], 0.01) == (3, "stop")
    assert live(asha, later[2], 0.06) == (ALTERNATIONS, "continue"), "behind that of the first bracket alone"


def test_brackets_survive_a_resume():
    names = [f"t{i:03d}" for i in range(12)]
    lived, records = scheduler(brackets=3), []
    for i, name in enumerate(names):
        slope = 0.01 * (7 * i % 12)
        reached, _ = live(lived, name, slope)
        curve = {n: slope * n for n in range(1, reached + 1)}
        records.append(Record(name, "explore", "search", None, 0, {}, "tpe", "pruned", slope, curve=curve))
    replayed = scheduler(records, brackets=3)
    for one, other in zip(lived._brackets, replayed._brackets, strict=True):
        assert one._rungs == other._rungs
