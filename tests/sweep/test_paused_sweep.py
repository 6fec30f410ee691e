"""Trials that pause at rungs and go on in any group have the curves of those that never pause, also across a resume."""

import os
import signal
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from bissl_ray.store import read_reports, read_trials, to_rows
from tests.cli.command import TINY, checkpoint, run, start, tiny_space
from tests.sweep.test_interrupted_sweep import wait_for_reports

pytestmark = pytest.mark.ray

POINTS = [
    {"lower_lr": lower, "upper_lr": upper, "cg_iterations": 2}
    for lower, upper in [(0.3, 0.1), (0.2, 0.01), (0.5, 0.2), (0.9, 0.003), (0.15, 0.05), (0.4, 0.25)]
]
"""All trials, so that both sweeps run the same ones."""
PROTOCOL = {"trials": 6, "finalists": 1, "finetune_runs": 1, "seeds": 2, "grace": 1, "reduction_factor": 2}


def curves(storage: Path) -> dict[float, dict[int, tuple[Any, ...]]]:
    """What explore trials reported, by their lower_lr and alternation."""
    rate = {row["trial"]: row["param_lower_lr"] for row in to_rows(read_trials(storage)) if row["step"] == "search"}
    found: dict[float, dict[int, tuple[Any, ...]]] = defaultdict(dict)
    for row in to_rows(read_reports(storage)):
        if row["trial"] in rate and row["stage"] == "bissl":
            told = tuple(row[name] for name in ("objective", "lower_loss", "upper_loss", "hvps", "distance"))
            assert row["alternation"] not in found[rate[row["trial"]]], "reported twice"
            found[rate[row["trial"]]][row["alternation"]] = told
    return found


def test_the_curves_are_those_of_trials_that_never_pause(tmp_path: Path) -> None:
    asked = ("sweep", "--pretrained", checkpoint(tmp_path), "--name", "all")
    storages = {}
    for how, protocol in (("whole", {"early_stopping": False}), ("pause", {"at_a_rung": "pause"})):
        storages[how] = tmp_path / how
        fixed = TINY["fixed"] | {"damping": 20.0}
        space = tiny_space(tmp_path, known_good=POINTS, fixed=fixed, protocol={**PROTOCOL, **protocol})
        command = (*asked, "--space", space, "--storage", storages[how])
        if how == "whole":
            done = run(*command, cwd=tmp_path)
            assert done.code == 0, done
            continue
        process = start(*command, cwd=tmp_path)
        # Several have paused, and the first goes on.
        wait_for_reports(storages[how], process, lambda rows: any(row["alternation"] == 2 for row in rows))
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
        states = {row["status"] for row in to_rows(read_trials(storages[how]))}
        assert process.returncode == 130 and "paused" in states, states
        board = run("leaderboard", "--storage", storages[how], cwd=tmp_path)
        assert board.code == 0 and "paused" in board.out, board
        resumed = run("resume", "all", "--storage", storages[how], cwd=tmp_path)
        assert resumed.code == 0, resumed
    whole, pause = (curves(storage) for storage in storages.values())
    assert {len(curve) for curve in whole.values()} == {4}
    # How many go on depends on the order in which they come: one may be promoted before better ones come, or be
    # interrupted between its report and its pause. In any order the best half of all that came to a rung have gone on.
    came = {rate: len(curve) for rate, curve in pause.items()}
    assert len(came) == len(POINTS) and {1, 4} <= set(came.values()) <= {1, 2, 4}, came
    for rung in (1, 2):
        at_it = sorted((rate for rate in came if came[rate] >= rung), key=lambda rate: -pause[rate][rung][0])
        best = len(at_it) // 2
        worst_of_best = pause[at_it[best - 1]][rung][0]
        assert all(came[rate] > rung for rate in at_it if pause[rate][rung][0] > worst_of_best), came
        assert sum(came[rate] > rung for rate in at_it) >= best, came
    for rate, curve in pause.items():
        assert curve == {alternation: whole[rate][alternation] for alternation in curve}
    rows = [row for row in to_rows(read_trials(storages["pause"])) if row["step"] == "search"]
    for row in rows:
        complete = len(pause[row["param_lower_lr"]]) == 4
        assert row["status"] == ("complete" if complete else "pruned")
        reason = row["status_reason"]
        assert reason is None if complete else reason.startswith("ASHA: not among the best at alternation"), reason
        assert row["ended_at"] is not None
    left = [path for path in storages["pause"].rglob("*.pt*") if "progress" in path.name]
    assert not left, "what a trial would have gone on from is removed with the end of exploring"
