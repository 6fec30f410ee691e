"""The fingerprint of stored rows: of what ran and what came of it, and of nothing else."""

from typing import Any

import pytest

from bissl_ray.leaderboard.comparison.stored import fingerprint

ROW: dict[str, Any] = {
    "sweep": "first",
    "trial": "t000",
    "phase": "explore",
    "status": "complete",
    "seed": 1,
    "objective": 0.5,
    "test_metric": None,
    "param_lower_lr": 0.3,
    "seconds": 10.0,
    "host": "here",
}
OTHER = {**ROW, "trial": "t001", "objective": 0.25}


def test_order_time_and_place_make_no_difference() -> None:
    moved = {**ROW, "sweep": "again", "seconds": 99.0, "host": "there", "param_of_a_later_version": None}
    assert fingerprint([ROW, OTHER]) == fingerprint([OTHER, moved])
    assert len(fingerprint([])) == 64


@pytest.mark.parametrize(
    "change", [{"objective": 0.5 + 1e-16 + 2e-16}, {"test_metric": 0.4}, {"param_lower_lr": 0.31}, {"seed": 2}]
)
def test_what_ran_and_what_came_of_it_do(change: dict[str, Any]) -> None:
    assert fingerprint([{**ROW, **change}, OTHER]) != fingerprint([ROW, OTHER])
    assert fingerprint([ROW]) != fingerprint([ROW, ROW]), "a row more"
