"""The gain by the fine-tuning that follows, from hand-made rows."""

from typing import Any

import pytest

from bissl_ray.leaderboard.comparison.following import gains_by_following, in_words
from bissl_ray.metrics import of_objective

TOP1 = of_objective("validation_top1")


def tuning(phase: str, rate: float, objective: float | None, **more: Any) -> dict[str, Any]:
    return {
        "step": "tuning",
        "phase": phase,
        "parent": "t000" if phase == "confirm" else None,
        "status": "complete",
        "objective": objective,
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
    assert [one.gain for one in found] == pytest.approx([0.014, 0.005])
    assert in_words(found, TOP1) == (
        "Gain by the finetune_lr of the fine-tuning that follows (validation, one run each): 0.001: +1.4, 0.01: +0.5."
    )


def test_of_several_runs_the_means_are_compared() -> None:
    rows = [
        *both(0.01, 0.70, 0.69),
        *both(0.01, 0.72, 0.69, parent="t000"),
        *both(0.02, 0.70, 0.74),
        *both(0.02, 0.70, 0.70),
        tuning("confirm", 0.02, 0.1, parent="t001"),
    ]
    found = gains_by_following(rows)
    assert [one.gain for one in found] == pytest.approx([0.02, -0.02]) and [one.runs for one in found] == [2, 2]
    assert "(validation, 2 runs each): 0.01: +2.0, 0.02: -2.0." in (in_words(found, TOP1) or "")


def test_what_else_differs_is_told_too_but_for_the_decay() -> None:
    rows = [
        *both(0.01, 0.70, 0.69, param_finetune_part="head", param_finetune_weight_decay=1e-3),
        *both(0.02, 0.70, 0.72, param_finetune_weight_decay=1e-4),
    ]
    told = in_words(gains_by_following(rows), TOP1)
    assert told is not None and "Gain by the finetune_lr and finetune_part" in told
    assert "0.01 head: +1.0, 0.02 all: -2.0" in told.replace("−", "-")


def test_one_point_says_nothing() -> None:
    assert in_words(gains_by_following(both(0.01, 0.7, 0.6)), TOP1) is None
    assert gains_by_following([]) == []
