"""The gain by the fine-tuning that follows, from hand-made rows."""

from typing import Any

import pytest

from bissl_ray.leaderboard.comparison.following import gain_frozen, gains_by_following, in_words
from bissl_ray.leaderboard.configurations import Configuration
from bissl_ray.metrics import of_objective
from bissl_ray.statistics import estimate
from bissl_ray.words import Kind

TOP1 = of_objective("validation_top1")


def tuning(phase: str, rate: float, objective: float | None, **more: Any) -> dict[str, Any]:
    return {
        "step": "tuning",
        "phase": phase,
        "parent": "t000" if phase == "confirm" else None,
        "status": "complete",
        "objective": objective,
        "seed": 0,
        "param_finetune_lr": rate,
        "param_finetune_part": "all",
        "param_lower_lr": 0.3,
        **more,
    }


def both(rate: float, ours: float | None, theirs: float | None, **more: Any) -> list[dict[str, Any]]:
    return [tuning("confirm", rate, ours, **more), tuning("control", rate, theirs, **more)]


def test_both_sides_are_paired_at_the_points_that_both_ran() -> None:
    rows = [
        *both(0.01, 0.70, 0.695),
        *both(0.001, 0.702, 0.688),
        *both(0.1, None, 0.6),
        *both(0.02, float("nan"), 0.6),
        tuning("confirm", 0.003, 0.9),
        tuning("confirm", 0.01, 0.1, parent="t001"),  # a second finalist at a point that another has had
        {**tuning("control", 0.001, 0.1), "step": "seeds"},
        {**tuning("control", 0.05, 0.1), "status": "failed"},
    ]
    found = gains_by_following(rows)
    assert [one.point for one in found] == [{"finetune_lr": 0.001}, {"finetune_lr": 0.01}]
    assert [one.gain.mean for one in found] == pytest.approx([0.014, 0.005])
    assert in_words(None, found, TOP1) == (
        "Gain by the finetune_lr of the fine-tuning that follows (validation, one run each): 0.001: +1.4, 0.01: +0.5."
    )


def test_runs_on_several_seeds_are_paired_by_them() -> None:
    rows = [
        *both(0.01, 0.70, 0.69),
        *both(0.01, 0.72, 0.69, seed=2_000_000, parent="t000"),
        *both(0.02, 0.70, 0.74),
        *both(0.02, 0.70, 0.70, seed=2_000_000),
        tuning("control", 0.02, 0.1, seed=2_000_001),  # BiSSL's run of this seed failed
        tuning("confirm", 0.02, 0.1, parent="t001"),
    ]
    found = gains_by_following(rows)
    assert [one.gain.mean for one in found] == pytest.approx([0.02, -0.02]) and [one.gain.n for one in found] == [2, 2]
    # With one degree of freedom t is 12.706; the standard errors are 0.01 and 0.02.
    half = "(validation, 2 seeds each): 0.01: +2.0 ± 12.7, 0.02: -2.0 ± 25.4."
    assert half in (in_words(None, found, TOP1) or "")


def test_the_frozen_end_is_over_the_seeds_that_confirm() -> None:
    seeds = [
        {"lower_probe_before": 0.50, "lower_probe": 0.52},
        {"lower_probe_before": 0.50, "lower_probe": 0.54},
        {"lower_probe_before": None, "lower_probe": 0.9},  # went on after an interruption
        {"lower_probe_before": 0.5, "lower_probe": float("nan")},
    ]
    found = gain_frozen(Configuration(Kind.BISSL, {}, (), tuple(seeds)))
    assert found is not None and (found.mean, found.n) == (pytest.approx(0.03), 2)
    told = in_words(found, gains_by_following(both(0.01, 0.70, 0.69)), TOP1)
    assert told == (
        "Gain with the fine-tuning that follows (validation, one run each): none, a probe of the frozen backbone: "
        "+3.0 ± 12.7, as tuned: +1.0."
    )
    assert gain_frozen(None) is None and gain_frozen(Configuration(Kind.BISSL, {}, (), ())) is None


def test_what_else_differs_is_told_too_but_for_the_decay() -> None:
    rows = [
        *both(0.01, 0.70, 0.69, param_finetune_part="head", param_finetune_weight_decay=1e-3),
        *both(0.02, 0.70, 0.72, param_finetune_weight_decay=1e-4),
    ]
    told = in_words(None, gains_by_following(rows), TOP1)
    assert told is not None and "Gain by the finetune_lr and finetune_part" in told
    assert "0.01 head: +1.0, 0.02 all: -2.0" in told.replace("−", "-")


def test_one_point_says_nothing() -> None:
    assert in_words(None, gains_by_following(both(0.01, 0.7, 0.6)), TOP1) is None
    assert in_words(estimate([0.1]), [], TOP1) is None
    assert gains_by_following([]) == []
