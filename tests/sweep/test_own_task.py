"""A task and a dataset that the package has no line for go through a whole sweep, workers and board included."""

from pathlib import Path

import pytest
import yaml

from bissl_ray.store import read_trials, to_rows
from tests.cli.command import TINY, run

pytestmark = pytest.mark.ray


def test_a_plugins_task_goes_from_the_space_to_the_board(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    fixed = {**TINY["fixed"], "image_size": 16, "lower_batch": 20}
    protocol = {**TINY["protocol"], "trials": 2, "finalists": 1, "finetune_runs": 1, "startup_trials": 1}
    space.write_text(yaml.safe_dump({**TINY, "dataset": "framed", "fixed": fixed, "protocol": protocol}))
    plugin = {"BISSL_RAY_PLUGINS": "tests.downstream.own_task", "PYTHONPATH": str(Path(__file__).parents[2])}
    unknown = run("sweep", "--space", space, "--name", "boxes", cwd=tmp_path)
    assert unknown.code == 2, unknown
    done = run("sweep", "--space", space, "--name", "boxes", cwd=tmp_path, **plugin)
    assert done.code == 0, done
    rows = to_rows(read_trials(tmp_path / "runs", "framed", "boxes"))
    scored = [row for row in rows if row["phase"] in ("confirm", "control") and row["step"] == "seeds"]
    assert len(scored) == 4
    assert {row["objective_name"] for row in rows} == {"validation_mean_iou"}
    assert all(0 < row["objective"] < 1 for row in scored)
    assert sum(row["test_metric"] is not None for row in rows) >= 2
    board = run("leaderboard", cwd=tmp_path)
    assert board.code == 0, board
    assert "framed" in board.out
    assert "validation_mean_iou" in board.out
