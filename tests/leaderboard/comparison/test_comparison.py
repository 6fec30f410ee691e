"""Several sweeps told together: means over shared seeds, paired gains, datasets, checkpoints, words and formats."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.comparison.cases import CaseFacts
from bissl_ray.leaderboard.comparison.findings import findings, notes
from bissl_ray.leaderboard.comparison.pairing import compare_cases
from bissl_ray.leaderboard.comparison.plot import _figure, check_plot, write_plot
from bissl_ray.leaderboard.comparison.render import (
    comparison_csv,
    comparison_json,
    comparison_markdown,
    comparison_table,
)

SEEDS = range(1, 7)


def facts(dataset, checkpoint, finished=True):
    labelled, unlabelled = {"bissl": 12_300, "control": 12_340}, {"bissl": 30_700, "control": 0}
    name = f"c-{dataset}-{checkpoint}"
    return CaseFacts(dataset, checkpoint, name, "top1", finished, labelled, unlabelled)


@pytest.fixture
def rows(explore, seeds, control, stored):
    """Rows of one case: the gain over seeds is `gain` plus a spread."""

    def make(dataset, checkpoint, gain, spread=0.01, test=True):
        theirs = {s: 0.80 + 0.002 * s for s in SEEDS}
        ours = {s: theirs[s] + gain + spread * (-1) ** s for s in SEEDS}
        ours[99] = 0.1  # a seed that the control failed at: it says nothing about the gain
        looked = [ours, theirs] if test else [None, None]
        made = [explore("t000", 0.5), *seeds("t000", ours, looked[0]), control("k", 0.6)]
        return stored([*made, *seeds("k", theirs, looked[1], phase="control")], dataset, f"c-{dataset}-{checkpoint}")

    return make


def test_gain_is_over_the_seeds_that_both_have(rows):
    (case,) = compare_cases("c", [facts("cars", "20ep")], rows("cars", "20ep", 0.02)).cases
    assert case.split == "test" and case.outcome == "wins"
    assert case.gain.mean == pytest.approx(0.02) and case.gain.n == case.tests.n == 6
    assert case.bissl.score.mean - case.control.score.mean == pytest.approx(case.gain.mean)
    assert case.tests.t < 0.05 and case.tests.positive == 6
    # One run: a confirmation; in all: exploring and seven seeds, against one point of the search and six seeds.
    assert (case.bissl.seconds, case.bissl.total_seconds, case.bissl.runs) == (100.0, 710.0, 8)
    assert (case.control.total_seconds, case.control.runs) == (650.0, 7)
    assert "BiSSL wins on cars:" in case.sentence


def test_a_gain_is_drawn_in_points(rows):
    board = compare_cases("c", [facts("cars", "20ep")], rows("cars", "20ep", 0.02))
    (bars,) = _figure(board.cases).axes[1].containers
    assert bars.lines[0].get_ydata() == pytest.approx([2.0])


def test_without_the_test_split_it_says_so(rows):
    board = compare_cases("c", [facts("cars", "20ep")], rows("cars", "20ep", 0.02, test=False))
    assert board.cases[0].split == "validation"
    assert any("validation split also chose" in line for line in notes(board))


def test_a_case_that_has_not_begun_is_named(rows):
    cases = [facts("cars", "5ep"), facts("cars", "20ep", finished=False)]
    board = compare_cases("c", cases, rows("cars", "5ep", 0.02))
    assert board.cases[1].gain is None and board.cases[1].sentence == "No run so far on cars from 20ep."
    assert board.trends == [] and board.overall == []


def test_seeds_that_failed_are_counted_and_said(rows, stored, seeds):
    rows("cars", "ep100", 0.02)
    lost = [row | {"status": "failed", "objective": None} for row in seeds("t000", {7: 0.0, 8: 0.0})]
    everything = stored(lost, "cars", "c-cars-ep100")
    cases = [facts("cars", "ep100"), facts("cars", "ep200", finished=False)]
    board = compare_cases("c", cases, everything)
    assert notes(board)[0] == (
        "BiSSL failed on 2 of 9 seeds on cars from ep100 (fine-tuning on none): the gain is of the 6 that both "
        "finished."
    )
    (row, _) = json.loads(comparison_json(board))["rows"]
    assert row["outcome"] == "wins_with_failures" and (row["bissl_failed"], row["control_failed"]) == (2, 0)
    assert next(csv.DictReader(io.StringIO(comparison_csv(board))))["bissl_failed"] == "2"
    assert "BiSSL wins" not in comparison_markdown(board)


def test_a_case_that_ended_without_a_result_says_why(explore, seeds, control, stored):
    reason = "DivergedError: the lower loss is nan; try a smaller lower_lr"
    theirs = seeds("k", {1: 0.6, 2: 0.6}, phase="control")
    everything = stored(
        [explore("t000", None, "failed", status_reason=reason), control("k", 0.6), *theirs], "cars", "c-cars-x"
    )
    (case,) = compare_cases("c", [facts("cars", "x")], everything).cases
    assert case.without_result
    assert case.sentence == (
        "Ended without a result on cars: BiSSL's configuration failed (DivergedError: the lower loss is nan)."
    )
    (running,) = compare_cases("c", [facts("cars", "x", finished=False)], everything).cases
    assert not running.without_result and "Runs are still to come" in running.sentence


def test_other_ends_without_a_result(explore, seeds, control, stored):
    ours = seeds("t000", {1: 0.6, 2: 0.6})
    lost = [row | {"status": "failed", "objective": None, "status_reason": "out of memory"} for row in ours]
    rows = [explore("t000", 0.5), explore("t001", None, "failed"), *ours, control("k", 0.6)]
    everything = stored(
        [*rows, *[row | {"trial": "k-s", "parent": "k", "phase": "control"} for row in lost]], "cars", "a"
    )
    (case,) = compare_cases("c", [replace(facts("cars", "x"), sweep="a")], everything).cases
    assert case.sentence == "Ended without a result on cars: plain fine-tuning failed (out of memory)."
    theirs = seeds("k", {1: 0.6, 2: 0.6}, phase="control")
    everything = stored([explore("t000", 0.5), ours[0], lost[1], control("k", 0.6), *theirs], "cars", "b")
    (case,) = compare_cases("c", [replace(facts("cars", "x"), sweep="b")], everything).cases
    assert case.sentence.endswith("a verdict takes 2 seeds that both sides finish (out of memory).")
    assert "both finished 1" in notes(compare_cases("c", [replace(facts("cars", "x"), sweep="b")], everything))[0]


def test_what_was_read_of_a_checkpoint_is_noted_once(rows):
    read = ("x.pth: 320 of 320 tensors match", "x.pth has no pretext head: the lower level begins with a fresh one")
    rows("cars", "x", 0.02)
    everything = rows("dtd", "x", 0.02)
    board = compare_cases("c", [replace(facts(name, "x"), read=read) for name in ("cars", "dtd")], everything)
    assert notes(board)[-2:] == [f"x: {line}" for line in read]
    unbegun = compare_cases("c", [replace(facts("pets", "x"), read=read)], [])
    assert notes(unbegun) == [f"x: {line}" for line in read]


def test_change_over_checkpoints_is_paired(rows):
    rows("cars", "5ep", 0.05)
    everything = rows("cars", "80ep", 0.01)
    board = compare_cases("c", [facts("cars", "5ep"), facts("cars", "80ep")], everything)
    (trend,) = board.trends
    assert (trend.first, trend.last) == ("5ep", "80ep")
    # The spread over seeds is the same at both lengths, and cancels.
    assert trend.change.mean == pytest.approx(-0.04) and trend.change.half_width == pytest.approx(0, abs=1e-9)
    assert findings(board)[0].startswith("From 5ep to 80ep the gain on cars shrinks: -4.0 points (95% interval -4.0 to")
    assert "BiSSL wins on cars from 5ep:" in board.cases[0].sentence
    assert any("corrected for all 2 (Holm), 1 of them stays below 0.05" in line for line in notes(board))
    rows("pets", "5ep", 0.02)
    noisy = compare_cases("c", [facts("pets", "5ep"), facts("pets", "80ep")], rows("pets", "80ep", 0.02, -0.02))
    assert noisy.trends[0].change.low < 0 < noisy.trends[0].change.high
    assert findings(noisy)[0].startswith("From 5ep to 80ep the gain on pets does not change beyond seed noise: +0.0")


def test_datasets_together(rows):
    names = ["cars", "dtd", "pets", "food", "flowers", "cub200"]
    for number, name in enumerate(names):
        everything = rows(name, "x", 0.01 * number - 0.005)
    board = compare_cases("c", [facts(name, "x") for name in names], everything)
    (overall,) = board.overall
    assert overall.gain.n == 6 and overall.gain.mean == pytest.approx(0.02)
    assert (overall.tests.positive, overall.tests.negative) == (5, 1)
    p = f"sign test p {overall.tests.sign:.3f}, Wilcoxon p {overall.tests.wilcoxon:.3f}"
    assert findings(board) == [
        "Over 6 datasets from x: +2.0 points on average (95% interval over datasets +0.0 to +4.0); "
        f"better on 5, worse on 1 ({p})."
    ]


def test_formats_hold_the_same_figures(rows):
    rows("cars", "5ep", 0.05)
    board = compare_cases("c", [facts("cars", "5ep"), facts("cars", "80ep")], rows("cars", "80ep", -0.02))
    document = json.loads(comparison_json(board))
    table = list(csv.DictReader(io.StringIO(comparison_csv(board))))
    assert [row["checkpoint"] for row in document["rows"]] == [row["checkpoint"] for row in table] == ["5ep", "80ep"]
    for row, line in zip(document["rows"], table, strict=True):
        assert float(line["gain"]) == row["gain"] and float(line["p_t"]) == row["p_t"]
    assert document["rows"][1]["outcome"] == "loses" and document["trends"][0]["change"]["n"] == 6
    assert len(document["rows"][0]["gain_by_seed"]) == 6
    text = comparison_markdown(board)
    # 80.7% and 5 points more; differences lie 1 point to either side: t(5) 2.5706 × 0.010954 / √6 is 1.15 points.
    assert "| 5ep | BiSSL | 85.7 ± 1.3 |  |  |  |  |" in text
    assert "|  | fine-tuning | 80.7 ± 0.4 | +5.0 ± 1.1 | " in text
    assert "| 12.3k | 30.7k |" in text and "BiSSL LOSES on cars from 80ep" in text


@pytest.mark.parametrize("width", [60, 80, 140])
def test_table_fits_the_terminal(rows, width):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(comparison_table(compare_cases("c", [facts("cars", "20ep")], rows("cars", "20ep", 0.02)), console))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width and not any("…" in line for line in lines)
    (ours,) = [line for line in lines if " BiSSL " in line and "20ep" in line]
    assert ours.split()[:3] == ["20ep", "BiSSL", "82.7"]


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["one", "checkpoints", "datasets", "both"])
def test_picture(rows, tmp_path: Path, shape):
    names = ["cars", "dtd"] if shape in ("datasets", "both") else ["cars"]
    labels = ["5ep", "80ep"] if shape in ("checkpoints", "both") else ["5ep"]
    for name in names:
        for label in labels:
            everything = rows(name, label, 0.03)
    board = compare_cases("c", [facts(name, label) for name in names for label in labels], everything)
    write_plot(board, tmp_path / "gain.svg")
    text = (tmp_path / "gain.svg").read_text()
    for word in [*names, *(labels if len(labels) > 1 else []), "gain, points"]:
        assert word in text
    write_plot(board, tmp_path / "gain.png")
    assert (tmp_path / "gain.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["gain.png", "gain.svg"]


def test_picture_tells_the_splits_apart(rows, tmp_path: Path):
    rows("cars", "5ep", 0.03)
    everything = rows("cars", "80ep", 0.03, test=False)
    write_plot(compare_cases("c", [facts("cars", "5ep"), facts("cars", "80ep")], everything), tmp_path / "both.svg")
    both = (tmp_path / "both.svg").read_text()
    assert "hollow: validation split" in both and "top-1, %" in both and "on the test split" not in both
    write_plot(compare_cases("c", [facts("cars", "5ep")], everything), tmp_path / "one.svg")
    one = (tmp_path / "one.svg").read_text()
    assert "top-1 on the test split, %" in one and "hollow" not in one


def test_picture_of_several_controls(rows, tmp_path: Path):
    rows("cars", "joint", 0.01)
    everything = rows("cars", "5ep", 0.03)
    plain = facts("cars", "5ep")
    others = [replace(plain, control="joint", of_control="c-cars-joint"), replace(plain, control="scratch")]
    board = compare_cases("c", [plain, *others], everything)
    write_plot(board, tmp_path / "gain.svg")
    text = (tmp_path / "gain.svg").read_text()
    for words in ("fine-tuning", "joint training", "training from scratch", "BiSSL's gain on the test split, points"):
        assert words in text
    assert "over the checkpoints" not in text and "cars from 5ep" in text


def test_nothing_to_draw(tmp_path: Path):
    with pytest.raises(BadInputError, match="nothing to draw"):
        write_plot(compare_cases("c", [facts("cars", "x")], []), tmp_path / "gain.svg")


def test_a_picture_that_can_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "folder.svg").mkdir()
    for path, expected in [
        ("gain.gif", "expected a file that ends in .svg, .png or .pdf"),
        ("nowhere/gain.svg", "found no folder"),
        ("folder.svg", "found a folder"),
    ]:
        with pytest.raises(BadInputError, match=expected):
            check_plot(tmp_path / path)
    monkeypatch.setattr("bissl_ray.leaderboard.comparison.plot.find_spec", lambda name: None)
    with pytest.raises(BadInputError, match=r"pip install 'bissl-ray\[plot\]'"):
        check_plot(tmp_path / "gain.svg")


def test_draws_of_the_labels_are_told_together(rows):
    """The interval is over draws, by the t distribution of two degrees of freedom: 4.303 standard errors."""
    labels = ["x-3labels", "x-3labels-draw1", "x-3labels-draw2"]
    for label, gain in zip(labels, (0.01, 0.02, 0.06), strict=True):
        everything = rows("cars", label, gain)
    cases = [
        replace(facts("cars", label), labels=3, draw=draw) for draw, label in zip((None, 1, 2), labels, strict=True)
    ]
    board = compare_cases("c", [*cases, replace(facts("cars", "y"), finished=False)], everything)
    (draws,) = board.draws
    assert (draws.dataset, draws.checkpoint, draws.control) == ("cars", "x-3labels", "plain")
    error = (0.0007 / 3) ** 0.5  # of three, whose squares about the mean sum to 0.0014
    assert draws.gain.mean == pytest.approx(0.03) and draws.gain.n == draws.tests.positive == 3
    assert draws.gain.half_width == pytest.approx(4.303 * error, rel=1e-3)
    assert findings(board) == [
        "Over 3 draws of the labels on cars from x-3labels: +3.0 points on average against plain fine-tuning (95% "
        "interval over draws -3.6 to +9.6); better in 3, worse in 0."
    ]
    found = json.loads(comparison_json(board))
    assert [row["label_draw"] for row in found["rows"]] == [None, 1, 2, None]
    assert found["draws"][0]["gain"]["mean"] == pytest.approx(0.03) and found["trends"] == []
