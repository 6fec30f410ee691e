"""The picture of a sweep, drawn from rows that the real store has held, at the sizes that terminals have."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from bissl_ray.leaderboard.live.keys import Keys
from bissl_ray.leaderboard.live.log import Log
from bissl_ray.leaderboard.live.picture import Asked, Picture
from bissl_ray.leaderboard.live.room import Wants, allotted
from bissl_ray.leaderboard.live.running import health
from bissl_ray.leaderboard.live.scene import Scene
from bissl_ray.leaderboard.live.words import budget
from bissl_ray.progress import Spent, SweepProgress, Track, Wishes

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REASONS = {"pruned": "ASHA: behind at alternation 20", "failed": "RuntimeError: CUDA out of memory"}


def track(alternations: int, **last: Any) -> Track:
    found = Track()
    for at in range(1, alternations + 1):
        report = {"stage": "bissl", "alternation": at, "objective": 0.8 - 0.3 / at, "seconds": 2.0 * at}
        found.report({**report, "reported_at": datetime.now(UTC), **last})
    return found


@pytest.fixture
def progress(explore, stored) -> SweepProgress:
    rows = []
    for number in range(24):
        status = "running" if number >= 20 else ["complete", "pruned", "complete", "failed"][number % 4]
        times = {"started_at": NOW + timedelta(minutes=2 * number)}
        if status != "running":
            times["ended_at"] = NOW + timedelta(minutes=2 * number + 1)
        score = None if status == "failed" else 0.6 + 0.01 * number
        trial = explore(f"t{number:03d}", score, status, status_reason=REASONS.get(status), **times)
        rows.append({**trial, "param_upper_lr": 0.01 * (number + 1), "param_cg_iterations": 5})
    trials = stored(rows)
    tracks = {f"t{number}": track(number) for number in range(20, 24)}
    tracks["t022"] = track(22, cg_residual=1.2)
    tracks = {f"t0{number}": tracks.get(f"t0{number}", track(number)) for number in range(20, 24)}
    return SweepProgress(
        "exploring", 60, 20, 4, 5, 5, 3600.0, 1800.0, ("t018", 0.78), "validation_top1", lambda: trials,
        dataset="cars", where="the cluster at head:6379", slots=6, budget=Spent(3000.0, 7200.0, "wall"),
        tracks=lambda: tracks,
    )  # fmt: skip


def drawn(progress: SweepProgress, width: int, height: int, **asked: Any) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, legacy_windows=False)
    asked = {"title": "bissl-ray sweep night", "keys": Keys(Wishes()).line, **asked}
    with console.capture() as capture:
        console.print(Picture(Scene.of(progress, Log(), 0.0), Asked(**asked), console), end="")
    lines = capture.get().rstrip("\n").split("\n")
    assert len(lines) <= height and max(map(len, lines)) <= width
    return lines


def test_at_80_by_24_all_parts_but_the_chart_are_there(progress):
    lines = drawn(progress, 80, 24)
    text = "\n".join(lines)
    for said in (
        "bissl-ray sweep night · exploring",
        "cars on the cluster at head:6379 · 4 of 6 groups busy",
        "budget: 50m 00s of 2h 00m, 1h 10m left",
        "20 of 60",
        "4 running · 5 pruned · 5 failed · 1h 00m elapsed · about 30m 00s left",
        "best so far 78.0%  t018",
        "t022  alternation 22",
        "≢ unsolved: residual 1.2",
        "t019 failed: RuntimeError: CUDA out of memory",
    ):
        assert said in text
    assert "▁" in text and "whole trials" not in text
    assert lines[-1].startswith(" p pause   s stop after those that run   o sort: score")


def test_at_140_by_40_the_chart_stands_beside_what_runs(progress):
    text = "\n".join(drawn(progress, 140, 40))
    (heading,) = (line for line in text.split("\n") if "running: 4" in line)
    assert "best so far, after each of 10 whole trials" in heading
    assert "t017 pruned: ASHA: behind at alternation 20" in text and "t018 is the best so far: 78.0%" in text
    assert text.count("complete") == 10 and "78.0%" in text and "60.0%" in text


def test_on_few_lines_the_least_important_goes_first(progress):
    small = "\n".join(drawn(progress, 80, 13))
    assert "t0" in small and "score %" in small and "running: 4" in small and "what happened" not in small
    tiny = "\n".join(drawn(progress, 60, 8))
    assert "20 of 60" in tiny and "score %" not in tiny and "p pause" in tiny
    assert len(drawn(progress, 40, 3)) == 3


def test_it_is_sorted_as_asked(progress):
    def first(order: str) -> str:
        lines = drawn(progress, 80, 24, order=order)
        return lines[next(place for place, line in enumerate(lines) if "score %" in line) + 2]

    assert "t023" in first("newest") and "t023" in first("score")
    assert " 0.78" not in first("gain")


def test_help_and_what_was_asked_of_the_sweep_are_shown(progress):
    keys = Keys(Wishes())
    text = "\n".join(drawn(progress, 80, 24, help=keys.help, banner="paused: no new trial begins"))
    assert "paused: no new trial begins" in text and "sort by score" in text and "score %" not in text
    assert "…" not in text


def test_lines_are_shared_by_importance():
    parts = [Wants(3, 8), Wants(2, 5), Wants(4, 4)]
    assert allotted(2, parts) == [0, 2, 0]
    assert allotted(5, parts) == [3, 2, 0]
    assert allotted(9, parts) == [3, 2, 4]
    assert allotted(30, parts) == [8, 5, 4]
    assert allotted(10, [Wants(0, 0), Wants(2, 3)]) == [0, 3]


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ({}, "ok"),
        ({"cg_residual": 1.5}, "≢ unsolved: residual 1.5"),
        ({"lower_loss": float("nan")}, "loss is not finite"),
        ({"negative_curvature": 3}, "negative curvature"),
        ({"attempts": 2}, "ok, attempt 2"),
    ],
)
def test_the_last_report_says_how_a_trial_does(progress, last, said):
    row = progress.trials()[-1]
    assert health(row, track(3, **last))[0] == said
    late = datetime.now(UTC) + timedelta(minutes=10)
    if said == "ok":
        assert health(row, track(3), late)[0] == "no report for 10m 00s"
        assert health({**row, "implicit_change": 0.001}, track(3))[0] == "≡ acts as identity"
        assert health(row, Track())[0] == "no report yet"


def test_the_log_says_what_changed_and_why(explore, stored):
    log = Log()
    assert log.look(stored([explore("a", 0.5), explore("b", 0.4, "paused", alternations=4)])) == []
    assert {entry.line for entry in log.entries} == {"b paused", "a is the best so far: 50.0%"}
    rows = [explore("b", 0.4, "running", alternations=4), explore("c", 0.6), explore("d", None, "failed")]
    rows[2]["status_reason"] = "worker lost"
    said = {entry.line for entry in log.look(stored(rows))}
    assert said == {
        "b goes on: among the best after alternation 4",
        "c is the best so far: 60.0%",
        "d failed: worker lost",
    }
    assert log.best == [0.5, 0.6]
    assert log.look(stored([])) == []


def test_a_track_keeps_the_scores_of_the_stage_it_is_in():
    found = track(3)
    assert found.scores == pytest.approx([0.5, 0.65, 0.7]) and found.last["alternation"] == 3
    found.report({"stage": "bissl", "alternation": 2, "objective": 0.66})
    assert found.scores[1] == 0.66 and found.last["alternation"] == 3
    found.report({"stage": "finetune", "epoch": 1, "objective": 0.9})
    assert found.scores == [0.9] and found.curve[3] == pytest.approx(0.7)
    assert Track({1: 0.5}).scores == [0.5]


def test_a_budget_is_told_by_now():
    assert budget(Spent(60.0, 600.0, "wall"), 30.0) == "budget: 1m 30s of 10m 00s, 8m 30s left"
    assert budget(Spent(600.0, 600.0, "wall"), 30.0) == "budget: all of 10m 00s used"
    assert budget(Spent(9 * 3600.0, 40 * 3600.0, "gpu")) == "budget: 9.0 of 40 GPU hours, 31.0 left"
