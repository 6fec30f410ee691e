"""A trial that ends itself, through a whole sweep: the store, Optuna after a replay, the board and `show`."""

from pathlib import Path

import pytest
from optuna.trial import TrialState

from bissl_ray.config import load_search_space
from bissl_ray.search.proposals import Proposals
from bissl_ray.search.records import records_from_store
from bissl_ray.store import read_reports, read_trials, to_rows
from tests.cli.command import TINY, checkpoint, run, tiny_space

pytestmark = pytest.mark.ray

# Three products for a spectrum that spans zero.
SUFFERING = {"cg_iterations": 3, "damping": 0.0, "proximity_weight": 1e-4, "unsolved_alternations": 2}
WORDS = "the linear solves don't converge: 2 alternations in a row left a mean relative residual of 1 or more"


def test_a_trial_that_ends_itself_is_pruned_and_says_why(tmp_path: Path) -> None:
    space = tiny_space(
        tmp_path,
        known_good=[{**TINY["known_good"][0], **SUFFERING}],
        protocol={"trials": 2, "finalists": 1, "finetune_runs": 1, "seeds": 2, "early_stopping": False},
    )
    done = run("sweep", "--pretrained", checkpoint(tmp_path), "--space", space, "--name", "ill", cwd=tmp_path)
    assert done.code == 0, done
    trials, reports = (to_rows(read(tmp_path / "runs")) for read in (read_trials, read_reports))
    ill = next(row for row in trials if row["trial"] == "t000")
    assert (ill["status"], ill["alternations"], ill["attempts"]) == ("pruned", 2, 1)
    assert ill["status_reason"].startswith(WORDS) and "more damping (now 0)" in ill["status_reason"]
    own = [row for row in reports if row["trial"] == "t000"]
    assert [row["alternation"] for row in own] == [1, 2] and ill["ended_at"] is not None
    assert all(row["cg_residual_max"] >= row["cg_residual"] >= 1 for row in own)
    assert ill["negative_curvature"] == sum(row["negative_curvature"] for row in own)
    # Indefinite: every solve gave way to the first-order answer.
    assert ill["implicit_change"] == max(row["implicit_change"] for row in own) < 0.01
    assert (ill["embedding_std"], ill["embedding_rank"]) == (own[-1]["embedding_std"], own[-1]["embedding_rank"])
    # Its score is told, and it is nobody's finalist, however good.
    assert ill["objective"] == own[-1]["objective"] and ill["objective_name"] == "validation_top1"
    assert {row["parent"] for row in trials if row["phase"] == "confirm"} == {"t001"}

    replayed = Proposals(load_search_space(space), records_from_store(trials, reports)).trials[0]
    assert replayed.state == TrialState.PRUNED and replayed.value == ill["objective"]
    assert replayed.intermediate_values == {row["alternation"]: row["objective"] for row in own}

    board = " ".join(done.out.split())
    assert f"t000 pruned: {WORDS}" in board
    shown = run("show", "t000", cwd=tmp_path, COLUMNS="80")
    assert "try more damping (now 0) or solver minres or curvature gauss_newton" in " ".join(shown.out.split())
