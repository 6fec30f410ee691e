"""A figure that is no share, of which less is better, is written as what it is: by board, show, card and comparison."""

import pytest
from rich.console import Console

from bissl_ray.export.card import _scores
from bissl_ray.export.choice import ExportedRun
from bissl_ray.leaderboard import rank, render_trial, verdicts
from bissl_ray.leaderboard.comparison.cases import CaseFacts
from bissl_ray.leaderboard.comparison.pairing import compare_cases
from bissl_ray.leaderboard.comparison.plot import _figure
from bissl_ray.leaderboard.comparison.render import comparison_table
from bissl_ray.leaderboard.live import LiveBoard
from bissl_ray.leaderboard.render import as_markdown, table
from bissl_ray.metrics import METRICS, Metric
from bissl_ray.progress import SweepProgress


@pytest.fixture
def trials(monkeypatch, explore, seeds, control, stored):
    """Mean errors in pixels: those of b after BiSSL are the smallest."""
    monkeypatch.setitem(METRICS, "error", Metric("error", "mean error", larger_is_better=False, share=False))

    def negated(errors):
        return {seed: -error for seed, error in errors.items()}

    rows = [
        explore("a", -4.25),
        explore("b", -3.5),
        *seeds("b", negated({0: 2.0, 1: 2.5, 2: 2.25}), test=negated({0: 2.1, 1: 2.6, 2: 2.35})),
        control("k0", -3.25),
        *seeds("k0", negated({0: 3.0, 1: 3.5, 2: 3.26}), test=negated({0: 3.1, 1: 3.6, 2: 3.36}), phase="control"),
    ]
    return stored([{**row, "objective_name": "validation_neg_error"} for row in rows])


def shown(renderable, width=140):
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_the_board_ranks_and_writes_it(trials):
    rows = rank(trials)
    assert [(row["rank"], row["trial"]) for row in rows] == [(1, "b"), (None, "k0"), (2, "a")]
    assert rows[0]["objective"] == pytest.approx(-2.25)  # for programs, as the store has it
    board = shown(table(rows, verdicts(trials), Console(width=140)))
    assert "validation_error (less is better)" in board and "%" not in board.replace("95%", "")
    for text in ("2.25", "3.253", "4.25", "2.35", "+1", "BiSSL wins on cars: 2.35 against 3.353 for plain fine-tuning"):
        assert text in board
    assert "a gain of +1" in " ".join(board.split()) and "points" not in board
    assert "| 2.25 |" in as_markdown(rows, verdicts(trials))


def test_show_and_the_live_board_write_it(trials):
    one = next(row for row in trials if row["trial"] == "b")
    children = [row for row in trials if row["parent"] == "b"]
    view = shown(render_trial(one, [], children, {}, Console(width=100)))
    assert "3.5 validation_error (less is better)" in view and "test 2.1" in view
    console = Console(width=100, force_terminal=False)
    with console.capture() as capture, LiveBoard(console, "first") as board:
        name = trials[0]["objective_name"]
        board.show(SweepProgress("exploring", 2, 1, best=("b", -3.5), objective_name=name, elapsed=1.0))
    assert "best 3.5 (b)" in capture.get()


def test_the_model_card_writes_it(trials):
    one = next(row for row in trials if row["trial"] == "b-seed0")
    configuration = rank(trials)[0]
    lines = _scores(ExportedRun(one, configuration, None, ""))
    assert lines[0] == "this run, validation error (less is better): 2"
    assert lines[1] == "this run, on the test split: 2.1"
    assert lines[2].endswith(": 2.25 (95% interval 1.629 to 2.871)")


def test_a_comparison_writes_and_draws_it(trials):
    board = compare_cases("c", [CaseFacts("cars", "mine", "first", "error", finished=True)], trials)
    text = shown(comparison_table(board, Console(width=140)))
    assert "error" in text and " %" not in text and "2.35 ± 0.621" in text and "+1" in text and "points" not in text
    figure = _figure([case for case in board.cases if case.gain is not None])
    above, below = figure.axes
    assert above.get_ylabel() == "mean error on the test split" and below.get_ylabel() == "gain"
    assert above.get_ylim()[0] > 0  # errors, not their negatives
    assert below.get_ylim()[1] < 3  # pixels, not per cent of them
    (ours,) = [bars for bars in above.containers if bars.get_label() == "BiSSL"]
    ((_, low), (_, high)) = ours.lines[2][0].get_segments()[0]
    assert (low, high) == pytest.approx((2.35 - 0.621, 2.35 + 0.621), abs=1e-3)


def test_gains_of_unlike_units_have_no_mean(trials, explore, seeds, control, stored):
    rows = [explore("a", 0.5), *seeds("a", {0: 0.7, 1: 0.72}), control("k0", 0.5), *seeds("k0", {0: 0.6, 1: 0.6})]
    everything = stored(rows, dataset="pets")
    facts = [CaseFacts("cars", "mine", "first", "error", True), CaseFacts("pets", "mine", "first", "top1", True)]
    assert compare_cases("c", facts, everything).overall == []
