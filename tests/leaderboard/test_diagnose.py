"""What the figures of a trial suggest: each sentence from rows made by hand; and `show` and the board."""

import io

import pytest
from rich.console import Console

from bissl_ray.cli.sweep import say_of_winner
from bissl_ray.leaderboard import as_csv, of_winner, rank, render_trial, sort_rows, suggestions, table, where_rows
from bissl_ray.leaderboard.alignment import EXPLAINED
from bissl_ray.leaderboard.diagnostics import bars
from bissl_ray.store import REPORT_COLUMNS, SweepWriter
from tests.leaderboard.conftest import PARAMETERS

HEALTHY = {
    "implicit_change": 0.3,
    "cg_residual": 0.2,
    "lower_knn_before": 0.64,
    "lower_knn": 0.70,
    "lower_probe_before": 0.80,
    "lower_probe": 0.81,
    "cka_pretrained": 0.9,
    "distance_pretrained": 0.02,
    "moved": 0.05,
}
FITS_BETTER = (
    "Before any fine-tuning the lower backbone fits the task better than the pretrained one: kNN 64.0% to 70.0%, "
    "linear probe 80.0% to 81.0%."
)


def alternations(losses=(3.0, 3.0, 3.0, 3.0), share=0.9, **columns):
    base = dict.fromkeys(REPORT_COLUMNS) | {"stage": "bissl", "upper_backbone_share": share, **columns}
    return [base | {"alternation": n, "lower_loss": loss} for n, loss in enumerate(losses, start=1)]


@pytest.fixture
def said(explore, stored):
    def of(reports=None, runs=(), **columns):
        (row,) = stored([explore("a", 0.5, **HEALTHY | columns)])
        return suggestions(row, alternations() if reports is None else reports, runs)

    return of


def test_of_a_healthy_trial_it_says_that_it_fits_better(said):
    assert said() == [FITS_BETTER]


def test_nothing_is_said_of_what_was_not_measured(explore, stored, said):
    (row,) = stored([explore("a", 0.5)])
    assert suggestions(row, alternations(share=None, losses=(None, None))) == []
    assert said(reports=[]) == []  # plain fine-tuning


@pytest.mark.parametrize(
    ("knn", "probe", "how"),
    [
        (0.65, 0.80, "fits the task better than the pretrained one: kNN 64.0% to 65.0%"),
        (0.6499, 0.8, "fits the task no better than the pretrained one: kNN 64.0% to 65.0%, linear probe 80.0%"),
        (0.64, 0.785, "fits the task worse than the pretrained one: kNN 64.0% to 64.0%, linear probe 80.0% to 78.5%"),
        (0.70, 0.70, "fits the task by one figure better, by the other worse than the pretrained one"),
    ],
)
def test_it_says_whether_the_backbone_fits_the_task(said, knn, probe, how):
    (sentence,) = said(lower_knn=knn, lower_probe=probe)
    assert how in sentence


def test_a_figure_that_is_to_be_small_is_no_share(said):
    errors = {"lower_knn_before": -40.0, "lower_knn": -39.0, "lower_probe_before": -20.0, "lower_probe": -20.0}
    (sentence,) = said(objective_name="validation_neg_error", **errors)
    assert "better than" in sentence and "kNN 40 to 39, linear probe 20 to 20" in sentence
    (sentence,) = said(objective_name="validation_neg_error", **errors | {"lower_knn": -39.7})
    assert "no better than" in sentence


def test_solves_that_change_nothing_or_are_in_vain(said):
    first, *_ = said(implicit_change=0.004)
    assert first == (
        "The hypergradient acts as identity: solving changed the gradient of θ_D by 0.4% at most, below 1% in every "
        "alternation."
    )
    first, *_ = said(implicit_change=0.004, param_solver="identity")
    assert first.startswith("The hypergradient acts as identity, by its own setting (solver identity)")
    first, *_ = said(cg_residual=1.3)
    assert first == "The linear solves were in vain: their mean relative residual is 1.3, and that of no solution is 1."
    assert said(cg_residual=0.99) == [FITS_BETTER]


def test_a_backbone_that_hardly_moved_and_one_that_sees_the_same(said):
    first, _ = said(distance_pretrained=0.0004, cka_pretrained=0.9999, moved=0.5)
    assert first == "The lower backbone hardly moved: 0.04% of its length away from the pretrained one."
    first, _ = said(cka_pretrained=0.994)
    assert "linear CKA of 0.994 (1: the same), though its weights moved by 2% of their length" in first
    assert said(cka_pretrained=0.98) == [FITS_BETTER]


def test_a_head_that_takes_the_upper_steps(said):
    _, head = said(reports=alternations(share=0.03))
    assert head == ("The head takes most of the upper steps: the backbone's share of the squared upper gradient is 3%.")
    assert said(reports=alternations(share=0.1)) == [FITS_BETTER]


@pytest.mark.parametrize(
    ("losses", "sentence"),
    [
        ((2.0, 2.0, 2.1, 2.3), "rose from 2 to 2.3."),
        ((2.0, 9.0, 9.0, 2.1), None),
        ((2.0,), None),
        ((2.0, 2.2, 1.8, 2.0, 2.2, 2.1, 2.2, 2.4), None),  # of quarters: 2.1 to 2.3
        ((2.0, 2.2, 1.8, 2.0, 2.2, 2.1, 2.4, 2.4), "rose from 2.1 to 2.4."),
        ((-0.9, -0.5), "rose from -0.9 to -0.5."),
        ((-0.5, -0.9), None),
    ],
)  # fmt: skip
def test_a_lower_level_that_forgot(said, losses, sentence):
    whole = [] if sentence is None else [f"The lower level forgot part of the pretext: its loss {sentence}"]
    assert said(reports=alternations(losses)) == [FITS_BETTER, *whole]


def test_fine_tuning_that_moves_much_farther(said, seeds, stored):
    *_, last = said(moved=0.08)
    assert (
        last == "Fine-tuning moved the backbone 4.0 times as far as the alignment did: by 8% of its length, after 2%."
    )
    assert said(moved=0.05) == [FITS_BETTER]
    # A trial that was only aligned is told by the runs that confirm it, and not by those that tune it.
    runs = [row | {"moved": moved} for row, moved in zip(seeds("a", {0: 0.7, 1: 0.8}), (0.06, 0.10), strict=True)]
    tuning = runs[0] | {"step": "tuning", "moved": 0.9}
    *_, last = said(moved=None, runs=[tuning, *runs])
    assert "4.0 times as far" in last
    *_, last = said(moved=None, runs=[tuning])
    assert "45.0 times as far" in last


def test_bars_rise_from_the_smallest_to_the_largest():
    assert bars([0.0, 0.5, 1.0], 8) == "▁▅█"
    assert bars([1.0, 0.0], 8) == "█▁"
    assert bars([2.0, 2.0], 8) == "▅▅"
    assert bars([3.0], 8) == bars([], 8) == ""
    assert len(bars([float(n) for n in range(100)], 9)) == 9


def drawn(renderable, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable(console))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 140])
def test_show_draws_the_alignment_and_says_what_it_suggests(explore, stored, width):
    (row,) = stored([explore("a", 0.5, alignment_seconds=8.2, **HEALTHY)])
    measured = [
        report | {"lower_knn": 0.66 + n / 50, "lower_probe": 0.8, "cka_pretrained": 0.99 - n / 30, "cka_upper": None}
        | {"distance_pretrained": n / 100}
        for n, report in enumerate(alternations())
    ]  # fmt: skip
    measured[1] |= dict.fromkeys(("lower_knn", "lower_probe", "cka_pretrained", "distance_pretrained"))
    text = drawn(lambda c: render_trial(row, measured, [], {}, c), width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert "The lower backbone as it is, before any fine-tuning" in words and EXPLAINED in words
    assert f"What the figures suggest - {FITS_BETTER}" in words
    if width >= 80:
        assert "64.0% before, 66.0% to 72.0% ▁▃▆█" in words
        assert "0.990 to 0.890" in words and "0% to 3% of its length" in words
        assert "3 times, alternations 1 to 4; took 8s, not counted in the time above" in words
    assert "CKA with the upper" not in words
    plain = drawn(lambda c: render_trial(row, alternations(), [], {}, c), width)
    assert EXPLAINED not in " ".join(plain.split()) and "before any fine-tuning" not in plain.partition("suggest")[0]


def test_the_board_has_the_figures_by_name(explore, seeds, control, stored):
    confirming = seeds("a", {0: 0.7, 1: 0.8})
    confirming[0]["moved"], confirming[1]["moved"] = 0.06, 0.10
    rows = rank(
        stored(
            [
                explore("a", 0.6, **HEALTHY | {"moved": None}),
                explore("b", 0.5, **HEALTHY | {"lower_knn": 0.9, "moved": 0.2}),
                explore("c", 0.4),
                *confirming,
                control("k", 0.6),
            ]
        )
    )
    assert {row["trial"]: row["moved"] for row in rows} == {"a": pytest.approx(0.08), "b": 0.2, "c": None, "k": None}
    assert [row["trial"] for row in where_rows(rows, "lower_knn > lower_knn_before and distance_pretrained < 0.1")] == [
        "a",
        "b",
    ]
    by_knn = sort_rows(rows, "-lower_knn")
    assert by_knn[0]["trial"] == "b"
    console = Console(file=io.StringIO(), width=80)
    console.print(table(by_knn, [], console, "-lower_knn"))
    assert "kNN %" in console.file.getvalue() and "90.0" in console.file.getvalue()
    assert "alignment_seconds" in as_csv(rows).splitlines()[0]


def test_the_winner_of_a_sweep_is_told_of(explore, seeds, storage, decided, capsys):
    assert of_winner(storage, "first") is None  # none of its trials was measured
    assert of_winner(storage, "no-such-sweep") is None
    with SweepWriter(storage, "cars", "second", PARAMETERS) as writer:
        for row in (
            explore("a", 0.9, **HEALTHY),
            explore("b", 0.5, **HEALTHY | {"implicit_change": 0.0}),
            *seeds("b", {0: 0.8, 1: 0.8}),
        ):
            writer.trial(row)
        for trial in ("a", "b"):
            for report in alternations():
                kept = {name: value for name, value in report.items() if value is not None}
                writer.report(kept | {"trial": trial})
    name, said = of_winner(storage, "second")
    assert name == "b" and said[-1] == FITS_BETTER and "acts as identity" in said[0]
    say_of_winner(str(storage), "first")
    assert capsys.readouterr().out == ""
    say_of_winner(str(storage), "second")
    words = " ".join(capsys.readouterr().out.split())
    assert words.startswith("What the figures of b suggest (second): - The hypergradient acts as identity")
    assert words.endswith(f"- {FITS_BETTER}")
