"""`bench leaderboard`: storages of drawn trials in the real files, and the board over them."""

import json

import pytest

from bissl_ray.benchmarks.board_store import write_store
from bissl_ray.leaderboard import read_board
from bissl_ray.store import read_trials
from tests.cli.command import run_here


def test_the_storage_is_one_that_a_sweep_could_have_left(tmp_path):
    assert write_store(tmp_path, 400, 4) == 400
    board = read_board(tmp_path, top=1)
    assert read_trials(tmp_path).num_rows == 400, "each trial once, though some stand in two files"
    assert len(board.verdicts) == 4
    assert {verdict.decided_on for verdict in board.verdicts} == {"test"}
    assert {row["status"] for row in board.rows} == {"complete"}
    assert all(verdict.edges or verdict.winner for verdict in board.verdicts), "whose sweep.json can be read"


@pytest.mark.slow
def test_it_times_whole_processes(monkeypatch, capsys, tmp_path):
    done = run_here(monkeypatch, capsys, "bench", "leaderboard", "--rows", "60,120", "--repeats", "1", "--json")
    assert done.code == 0, done.err
    first, second = json.loads(done.out)["runs"]
    assert (first["rows"], first["sweeps"], second["rows"], second["sweeps"]) == (60, 1, 120, 2)
    for run in (first, second):
        assert run["seconds"] > 0 and run["duckdb_seconds"] > 0 and run["memory"] > 2**20


@pytest.mark.parametrize("rows", ["0", "many", "10,"])
def test_bad_numbers_are_refused(monkeypatch, capsys, rows):
    done = run_here(monkeypatch, capsys, "bench", "leaderboard", "--rows", rows)
    assert done.code == 2
    assert f"--rows {rows}: expected numbers" in done.err
