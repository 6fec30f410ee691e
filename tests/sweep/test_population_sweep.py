"""Population-based training through the real command: interrupted after its first turn, resumed, on the board."""

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

PROTOCOL = {
    **{"trials": 4, "finalists": 1, "finetune_runs": 1, "seeds": 2},
    **{"at_a_rung": "exploit", "grace": 1, "reduction_factor": 4},
}


def test_a_population_is_interrupted_and_resumed(tmp_path: Path) -> None:
    storage = tmp_path / "runs"
    # Solves that don't diverge, and rates that make trials differ.
    fixed = TINY["fixed"] | {"damping": 20.0}
    space = tiny_space(tmp_path, fixed=fixed, protocol=PROTOCOL)
    asked = ("sweep", "--pretrained", checkpoint(tmp_path), "--space", space, "--name", "all")
    process = start(*asked, cwd=tmp_path)
    wait_for_reports(storage, process, lambda rows: any("-1" in row["trial"] for row in rows))
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err, (out, err)
    resumed = run("resume", "all", cwd=tmp_path)
    assert resumed.code == 0, resumed

    rows = {row["trial"]: row for row in to_rows(read_trials(storage)) if row["step"] == "search"}
    curves: dict[str, dict[int, Any]] = defaultdict(dict)
    for row in to_rows(read_reports(storage)):
        if row["trial"] in rows and row["stage"] == "bissl":
            assert row["alternation"] not in curves[row["trial"]], "reported twice"
            curves[row["trial"]][row["alternation"]] = row["objective"]
    heirs = {name: row for name, row in rows.items() if row["origin"].startswith("pbt:")}
    # Where the donor of the second turn was interrupted between its report and its pause, it had gone on past it, and
    # nobody makes room.
    assert sorted(int(name.partition("-")[2]) for name in heirs) in ([1, 2, 3], [1, 3])
    for name, row in heirs.items():
        after, donor = int(name.partition("-")[2]), rows[row["origin"].removeprefix("pbt:")]
        assert min(curves[name]) == after + 1 and after in curves[donor["trial"]]
        moved = {key for key in row if key.startswith("param_") and row[key] != donor[key]}
        assert moved == {"param_lower_lr", "param_upper_lr", "param_cg_iterations"}
    ended = [row for row in rows.values() if row["status"] == "pruned"]
    assert len(ended) == len(heirs) and all(row["status_reason"].startswith("PBT: t00") for row in ended)
    assert sum(row["status"] == "complete" for row in rows.values()) == 4
    assert not [path for path in storage.rglob("*.pt*") if "progress" in path.name or "inherited" in path.name]

    more = run("resume", "all", "--trials", 9, cwd=tmp_path)
    assert more.code == 2 and "one population" in more.err, more
    costs = run("leaderboard", "--cost", cwd=tmp_path)
    assert costs.code == 0, costs
    shown = run("show", next(iter(heirs)), cwd=tmp_path)
    assert shown.code == 0 and "takes over from t00" in shown.out, shown
    board = run("leaderboard", cwd=tmp_path)
    assert any(name in board.out for name in heirs), board.out
    assert "Stopping" not in costs.out, costs.out  # for whoever ended, another went on
