"""Who wins: one rule, by which the planner tests a configuration and the board names it."""

import math
import random
from functools import partial

import pytest

from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.leaderboard import rank, verdicts
from bissl_ray.search.planner import Planner
from bissl_ray.search.proposals import finetune_points
from bissl_ray.search.records import Record
from bissl_ray.store import SweepWriter, read_trials, to_rows
from bissl_ray.winner import Contender, place, winner
from bissl_ray.words import Phase
from tests.search.small_space import space, store_rows
from tests.search.whole_sweep import ByName

SEEDS = (1, 2, 3)


def head(name, objective=0.5, phase="explore"):
    """The trial that a configuration begins with."""
    step = "search" if phase == "explore" else "tuning"
    return Record(name, phase, step, None, 0, {}, "tpe", "complete", objective)


def confirmation(parent, scores, phase="confirm"):
    """One run per seed: its score, or how it ended without one."""
    runs = []
    for seed, score in zip(SEEDS, scores, strict=False):
        status, objective = ("complete", score) if isinstance(score, float) else (score, None)
        runs.append(Record(f"{parent}-s{seed}", phase, "seeds", parent, seed, {}, "seeds", status, objective))
    return runs


def planner_says(records, phase=Phase.CONFIRM):
    """The configuration whose runs the planner sends to the test split."""
    runs = Planner(space().protocol, ByName(), partial(finetune_points, space()), records).confirmed(phase)
    parents = {run.parent for run in runs}
    assert len(parents) <= 1 and all(run.scored for run in runs)
    return next(iter(parents), None)


@pytest.fixture
def stored(tmp_path):
    """Write records through the real store and read them back."""

    def through(records, sweep="first"):
        rows, _ = store_rows(records, space())
        with SweepWriter(tmp_path, "digits", sweep, parameter_types()) as writer:
            for row in rows:
                writer.trial(row)
        return to_rows(read_trials(tmp_path, "digits", sweep))

    return through


def board_says(rows):
    """Winner and control of the board's verdict, and the first of its ranks."""
    (verdict,) = verdicts(rows)
    first = next((row for row in rank(rows) if row["rank"] == 1), None)
    if verdict.winner is not None:
        assert first is not None and first["trial"] == verdict.winner and first["standing"] == "confirmed"
    return verdict.winner, verdict.control


def test_the_order():
    in_order = [
        Contender("three", (0.4, 0.5, 0.6)),
        Contender("three-worse", (0.4, 0.4, 0.6), explored=0.99),
        Contender("level-a", (0.7, 0.5)),
        Contender("level-b", (0.5, 0.7)),
        Contender("one", (0.9,)),
        Contender("explored", explored=0.8),
        Contender("explored-a", explored=0.0),
        Contender("explored-b", explored=0.0),
        Contender("failed"),
        Contender("failed-too"),
    ]
    shuffled = random.Random(0).sample(in_order, len(in_order))
    assert sorted(shuffled, key=place) == in_order
    assert winner(shuffled) == in_order[0]


def test_without_a_confirmed_one_nobody_wins():
    assert winner([Contender("a", explored=0.9), Contender("b")]) is None
    assert winner([]) is None


# b has the better mean, over the seeds that it finished: it stands behind a all the same.
ONE_FAILED = [
    *[head("a"), head("b"), head("control-f0", phase="control"), head("control-f1", phase="control")],
    *[*confirmation("a", (0.5, 0.6, 0.5)), *confirmation("b", (0.9, "failed", 0.9))],
    *confirmation("control-f1", (0.4, 0.4, 0.4), "control"),
    *confirmation("control-f0", (0.8, 0.8, math.nan), "control"),
]


def test_to_the_planner_a_configuration_with_failed_seeds_stands_behind_one_without():
    assert planner_says(ONE_FAILED) == "a"
    assert planner_says(ONE_FAILED, Phase.CONTROL) == "control-f1"


def test_to_the_board_a_configuration_with_failed_seeds_stands_behind_one_without(stored):
    rows = stored(ONE_FAILED)
    assert board_says(rows) == ("a", "control-f1")
    assert [row["trial"] for row in rank(rows)] == ["a", "control-f1", "b"]


@pytest.mark.slow
def test_planner_and_board_name_the_same_whatever_there_is(stored):
    named = set()
    for number in range(40):
        draw = random.Random(number)

        def scores(draw=draw):
            return [draw.choice([0.5, 0.6, 0.7, math.nan, "failed", "pruned", "running"]) for _ in SEEDS]

        configurations = draw.sample(["t000", "t001", "t002", "t003"], draw.randint(1, 4))
        controls = draw.sample(["control-f0", "control-f1", "control-f2"], draw.randint(1, 3))
        records = [head(name, draw.random()) for name in configurations]
        records += [head(name, draw.random(), "control") for name in controls]
        for name in configurations:
            records += confirmation(name, scores())
        for name in controls:
            records += confirmation(name, scores(), "control")
        told = board_says(stored(records, f"s{number}"))
        assert told == (planner_says(records), planner_says(records, Phase.CONTROL)), number
        named.add(told)
    assert len(named) > 8 and any(None in told for told in named), "the stores were too much alike"
