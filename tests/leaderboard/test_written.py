"""The board with chosen columns, on its front, across datasets, and as a picture."""

import csv
import io
import json
from xml.etree import ElementTree

import pytest

from bissl_ray.leaderboard import read_board
from bissl_ray.statistics import estimate, values_to_separate
from tests.cli.command import run_here


@pytest.fixture
def board(storage, monkeypatch, capsys):
    return lambda *arguments: run_here(monkeypatch, capsys, "leaderboard", "--storage", storage, *arguments)


def test_chosen_columns_in_their_order(decided, board):
    done = board("--columns", "trial,param_upper_lr,objective,started_at", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert list(rows[0]) == ["trial", "param_upper_lr", "objective", "started_at"]
    assert rows[0]["trial"] == "a" and float(rows[0]["objective"]) == pytest.approx(0.72)
    assert set(json.loads(board("--columns", "trial,gain", "-f", "json").out)["rows"][0]) == {"trial", "gain"}
    table = board("--columns", "trial,upper_lr").err
    assert "--columns names no column of the board: 'upper_lr'; did you mean 'param_upper_lr'" in table
    shown = board("--columns", "rank,trial,param_cg_iterations").out
    assert "iterations" in shown and "score" not in shown
    assert "| trial | gain |" in board("--columns", "trial,gain", "-f", "md").out
    assert board("--columns", "trial,,gain").code == 2


def test_the_front_of_score_and_time(decided, board, explore, stored):
    stored([explore("fast", 0.3, seconds=1.0), explore("slow", 0.4, seconds=3.0), explore("never", 0.2, seconds=2.0)])
    kept = [row["trial"] for row in json.loads(board("--pareto", "--format", "json").out)["rows"]]
    assert kept == ["a", "k1", "b", "e", "slow", "fast"], "the confirmed by themselves, and the control is no rival"


def test_datasets_beside_each_other(decided, explore, stored, board):
    stored([explore("p", 0.9, param_upper_lr=0.5, param_cg_iterations=0)], dataset="pets", sweep="other")
    lines = [line for line in board("--across").out.splitlines() if line.strip()]
    assert lines[0].split() == ["cars", "pets"]
    told = {line.split()[0]: line.split()[1:] for line in lines[2:]}
    assert told["trial"] == ["a", "p"] and told["upper_lr"] == ["0.01", "0.5"]
    assert "cg_iterations" not in told and any("The same everywhere: cg_iterations 0" in line for line in lines)
    assert "cars" in board("--across", "--dataset", "cars").out
    assert board("--across", "--format", "csv").code == 2


def test_as_a_picture(decided, board):
    drawn = board("--format", "svg").out
    assert ElementTree.fromstring(drawn).tag.endswith("svg") and "confirmed" in drawn
    page = board("--format", "html").out
    assert page.startswith("<!DOCTYPE html>") and "confirmed" in page and "@TITLE@" not in page
    assert "http" not in page, "it needs nothing of the network"


def test_what_the_seeds_do_not_tell_apart(explore, seeds, stored, storage):
    stored(
        [
            explore("a", 0.5),
            explore("b", 0.5),
            explore("c", 0.5),
            explore("d", 0.5),
            *seeds("a", {0: 0.80, 1: 0.82, 2: 0.84}),
            *seeds("b", {0: 0.80, 1: 0.80, 2: 0.83}),
            *seeds("c", {0: 0.60, 1: 0.62, 2: 0.64}),
        ]
    )
    rows = {row["trial"]: row for row in read_board(storage).rows}
    assert [rows[trial]["tied"] for trial in "abcd"] == [None, True, False, None]
    needed = rows["b"]["seeds_to_tell"]
    assert needed == values_to_separate([0.0, 0.02, 0.01]) and rows["c"]["seeds_to_tell"] is None
    assert [row["trial"] for row in read_board(storage, where="tied").rows] == ["b"]


def test_so_many_would_separate_and_one_fewer_would_not():
    """A sample of the same mean and spread, of the size that was said, has an interval that leaves zero out."""
    found = [0.0, 0.02, 0.01]
    number = values_to_separate(found)
    assert number is not None

    def low(size):
        mean, deviation = 0.01, 0.01
        values = [mean + deviation * ((-1) ** i) * ((size - 1) / size) ** 0.5 for i in range(size)]
        return estimate(values).low

    even = number + number % 2
    assert low(even) > 0
    assert low(even - 2) <= 0
    assert values_to_separate([0.01, -0.01]) is None and values_to_separate([0.3]) is None


def test_a_trial_beside_the_best_and_the_control(decided, storage, monkeypatch, capsys):
    show = lambda trial: run_here(monkeypatch, capsys, "show", trial, "--storage", storage).out  # noqa: E731
    table = show("b").split("Beside the best and the control\n")[1].split("\n\n")[0].splitlines()
    assert table[0].split() == ["b", "the", "best,", "a", "the", "control,", "k1"]
    told = {line.split()[0]: line.split()[1:] for line in table[1:]}
    assert told["upper_lr"] == ["0.02", "0.01"] and told["cg_iterations"] == ["5", "0"]
    assert "finetune_lr" not in told, "all three have the same"
    assert told["score"][0] == "61.0" and told["score"][3] == "72.0"
    assert "the best" not in show("a").split("Beside the best")[1].split("\n\n")[0]
    assert "the control" not in show("k1").split("Beside the best and the control")[1].split("\n\n")[0]


def test_a_damaged_file_is_named_once_though_it_is_read_twice(decided, storage, board):
    (file,) = (storage / "results").glob("*/*/trials-*.parquet")
    file.with_name(f"trials-{9:020d}-1-damaged.parquet").write_bytes(file.read_bytes()[:100])
    done = board()
    assert done.code == 1 and done.err.count("skipped") == 1 and "confirmed" in done.out
    assert board("--where", "param_nothing = 1").err.count("skipped") == 1
