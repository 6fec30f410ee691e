import math

import pytest

from bissl_ray.leaderboard import rank
from bissl_ray.leaderboard.configurations import gather


def order(rows):
    return [(row["rank"], row["trial"], row["standing"]) for row in rows]


def test_confirmed_first_by_mean_the_control_in_its_place_failed_last(decided):
    assert order(rank(decided)) == [
        (1, "a", "confirmed"),  # 0.72, though exploring it gave the smallest score
        (None, "k1", "confirmed"),  # 0.68; k0 tuned better, but k1 is the point that was confirmed
        (2, "b", "confirmed"),  # 0.61
        (3, "e", "explored"),
        (4, "c", "explored"),
        (None, "d", "explored"),
    ]


def test_numbers_of_a_confirmed_row(decided):
    winner, control = rank(decided)[:2]
    assert winner["objective"] == pytest.approx(0.72) and winner["explore_objective"] == 0.50
    assert winner["seeds"] == 3 and winner["objective_low"] == pytest.approx(0.6703172, abs=1e-7)
    assert winner["gain"] == pytest.approx(0.04) and winner["gain_seeds"] == 3
    assert winner["gain_high"] - winner["gain"] == pytest.approx(4.302653 * 0.0264575 / math.sqrt(3), abs=1e-5)
    assert winner["test_metric"] == pytest.approx(0.71)
    assert winner["total_seconds"] == 10 + 3 * 100 and winner["seconds"] == 10
    assert winner["param_finetune_lr"] == 0.02, "what its confirmation runs had, not what exploring had"
    assert winner["param_cg_iterations"] == 0
    assert control["kind"] == "control" and control["gain"] is None
    assert control["total_seconds"] == 2 * 50 + 3 * 100, "every point of the control is part of its budget"


def test_a_run_that_is_not_finished_or_diverged_does_not_count(explore, seeds, stored):
    runs = seeds("a", {0: 0.7, 1: 0.9, 2: math.nan})
    runs[1]["status"] = "running"
    winner, diverged = rank(stored([explore("a", 0.5), explore("n", math.nan), *runs]))
    assert winner["objective"] == 0.7 and winner["seeds"] == 1 and winner["objective_low"] is None
    assert diverged["rank"] is None and diverged["objective"] is None


def test_a_point_of_the_control_is_worth_the_mean_of_its_runs(control, stored):
    """Its further runs are no points of their own, and their time is counted; one that failed leaves the others."""
    further = [{**control(f"k0-r{s}", score), "parent": "k0"} for s, score in ((1, 0.60), (2, 0.54))]
    rows = stored([control("k0", 0.66), *further, {**control("k0-r3", None), "parent": "k0", "status": "failed"}])
    (row,) = rank(rows)
    assert row["trial"] == "k0" and row["objective"] == pytest.approx(0.60)
    assert row["total_seconds"] == 4 * 50


def test_each_dataset_and_each_sweep_has_its_own_control(explore, seeds, control, stored):
    stored([explore("a", 0.5), *seeds("a", {0: 0.7}), control("k", 0.6), *seeds("k", {0: 0.5}, phase="control")])
    stored([explore("a", 0.4), *seeds("a", {0: 0.8})], sweep="second")
    rows = rank(stored([explore("a", 0.9)], dataset="digits", sweep="third"))
    assert [(r["dataset"], r["sweep"], r["rank"], r["trial"]) for r in rows] == [
        ("cars", "second", 1, "a"),
        ("cars", "first", 2, "a"),
        ("cars", "first", None, "k"),
        ("digits", "third", 1, "a"),
    ]
    assert rows[0]["gain"] is None and rows[1]["gain"] == pytest.approx(0.2)


def test_a_run_without_its_parent_stands_alone(seeds, stored):
    (row,) = rank(stored(seeds("gone", {0: 0.7})))
    assert row["trial"] == "gone-seed0" and row["standing"] == "confirmed" and row["objective"] == 0.7


def test_gathering_keeps_every_run(decided):
    assert sum(len({run["trial"] for run in c.runs}) for c in gather(decided)) == len(decided)


def test_no_trials_no_rows():
    assert rank([]) == []
