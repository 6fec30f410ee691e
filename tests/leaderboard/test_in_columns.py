"""The board that is chosen in columns is the one that ranking every row gives."""

import math
import random

import pytest

from bissl_ray.leaderboard import outcomes, rank, read_board, sort_rows, verdicts, where_rows
from bissl_ray.leaderboard.ranking import BOARD_COLUMNS, FROM_TRIAL
from bissl_ray.store import SweepWriter, read_trials, to_rows
from tests.leaderboard.conftest import PARAMETERS

STATUSES = ("complete", "complete", "pruned", "failed", "running")


def drawn_sweep(draw):
    """Rows of a sweep as they may come: scores that are level, runs that failed, runs whose parent has no row."""
    score = lambda: draw.choice((None, math.nan, 0.5, 0.5, 0.6, round(draw.random(), 3)))  # noqa: E731
    rows = []

    def row(trial, phase, step, parent=None, **more):
        rows.append(
            {
                "trial": trial,
                "parent": parent,
                "phase": phase,
                "step": step,
                "status": draw.choice(STATUSES),
                "objective": score(),
                "objective_name": "top1",
                "seconds": draw.choice((None, math.nan, 3.0, draw.random())),
                "gpu_seconds": draw.choice((None, 1.0)),
                "implicit_change": draw.choice((None, 0.0, 0.5, math.nan)),
                "cg_residual": draw.choice((None, 0.1, 2.0, math.nan)),
                "moved": draw.choice((None, 0.3)),
                "param_upper_lr": draw.choice((None, 0.01, draw.random())),
                "param_finetune_lr": draw.random(),
                "param_solver": draw.choice((None, "cg", "minres")),
                **more,
            }
        )

    explored = [f"t{number}" for number in range(draw.randrange(12))]
    controls = [f"k{number}" for number in range(draw.randrange(3))]
    for trial in explored:
        row(trial, "explore", "search", origin="tpe")
    for trial in controls:
        row(trial, "control", "tuning")
    for parent in draw.sample(explored, min(3, len(explored))) + controls + ["gone"] * draw.randrange(2):
        phase = "control" if parent in controls else "confirm"
        for number in range(draw.randrange(3)):
            row(f"{parent}-tune{number}", phase, "tuning", parent)
        for seed in range(draw.randrange(4)):
            row(f"{parent}-seed{seed}", phase, "seeds", parent, seed=seed, test_metric=score())
    return rows


@pytest.fixture(params=range(12))
def drawn_storage(request, tmp_path):
    draw = random.Random(request.param)
    for dataset in ("cars", "pets"):
        for sweep in ("first", "second", "third")[: draw.randrange(1, 4)]:
            rows = drawn_sweep(draw)
            with SweepWriter(tmp_path, dataset, sweep, PARAMETERS) as writer:
                for row in rows:
                    writer.trial(row | {"status": "running"} if draw.random() < 0.3 else row)
            with SweepWriter(tmp_path, dataset, sweep, PARAMETERS) as writer:  # newer rows of some, in a later file
                for row in draw.sample(rows, len(rows) // 3):
                    writer.trial(row)
    return tmp_path


def plain(rows):
    """Rows that can be compared: what is not a number is equal to itself."""
    return [
        {name: "nan" if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
        for row in rows
    ]


def first(rows, top):
    """The first of each dataset, and every control."""
    kept, counts = [], {}
    for row in rows:
        ours = row["kind"] == "bissl"
        counts[row["dataset"]] = counts.get(row["dataset"], 0) + ours
        if not ours or counts[row["dataset"]] <= top:
            kept.append(row)
    return kept


def test_the_board_is_that_of_all_rows(drawn_storage):
    trials = to_rows(read_trials(drawn_storage))
    board = read_board(drawn_storage)
    assert plain(board.rows) == plain(rank(trials))
    assert len({tuple(row) for row in board.rows}) <= 1, "the columns of one row are those of all, for a file"
    assert board.verdicts == verdicts(trials)
    for top in (1, 3):
        assert plain(read_board(drawn_storage, top=top).rows) == plain(first(rank(trials), top))


@pytest.mark.parametrize(
    "where",
    [
        "param_upper_lr > 0.01 and status = 'complete'",
        "not unsolved or acts_as_identity",
        "rank <= 3 or kind = 'control'",
        "objective is null or objective_high > 0.6",
        "standing = 'confirmed' and gain is not null",
        "total_seconds < 3 and not total_gpu_seconds is null",
        "explore_objective > test_metric or seeds > 1",
        "param_solver in ('cg', 'none') and sweep <> 'second'",
        "moved > 0.2 and gain_seeds = 0 and dataset = 'pets'",
    ],
)
def test_a_filter_keeps_the_same_rows(drawn_storage, where):
    every = rank(to_rows(read_trials(drawn_storage)))
    assert plain(read_board(drawn_storage, where=where).rows) == plain(where_rows(every, where) if every else [])


@pytest.mark.parametrize("sort", ["-param_upper_lr", "total_seconds", "status", "-rank", "gain", "acts_as_identity"])
def test_another_order_is_the_same(drawn_storage, sort):
    every = rank(to_rows(read_trials(drawn_storage)))
    by_dataset = [[row for row in every if row["dataset"] == dataset] for dataset in ("cars", "pets")]
    expected = [row for rows in by_dataset for row in sort_rows(rows, sort)]
    assert plain(read_board(drawn_storage, sort=sort).rows) == plain(expected)
    assert plain(read_board(drawn_storage, sort=sort, top=2).rows) == plain(first(expected, 2))


def test_the_columns_of_a_board_are_known_by_name(decided):
    (row, *_) = rank(decided)
    assert {name for name in row if not name.startswith("param_")} == {*BOARD_COLUMNS, *FROM_TRIAL}


def test_the_outcome_of_some_sweeps_is_their_verdict(drawn_storage):
    told = [f"{each.sweep}: {each.in_words}" for each in verdicts(to_rows(read_trials(drawn_storage)))]
    group = outcomes(drawn_storage, ["first", "third"])
    assert [line.plain for line in group.renderables] == [line for line in told if not line.startswith("second")]
