import csv
import io
import json

import pytest
import yaml
from rich.console import Console

from bissl_ray.config import SearchSpace
from bissl_ray.leaderboard import as_csv, as_json, as_markdown, rank, render_trial, table, verdicts
from bissl_ray.leaderboard.trial import space_of
from bissl_ray.store import REPORT_COLUMNS


def drawn(renderable, width, **more):
    console = Console(file=io.StringIO(), width=width, **more)
    console.print(renderable(console))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 140])
def test_no_line_is_longer_than_the_terminal_and_no_number_is_cut(decided, width):
    text = drawn(lambda console: table(rank(decided), verdicts(decided), console), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text and "72.0" in text and "BiSSL" in text


def test_a_wider_terminal_shows_more(decided):
    narrow, wide = (
        drawn(lambda console: table(rank(decided), verdicts(decided), console), width) for width in (80, 140)
    )
    for heading in ("score %", "± gain", "test %"):
        assert heading in narrow
    assert "upper_lr" in wide and "iterations" in wide and "time" in wide
    assert "solver" not in wide, "a setting that no trial has is not shown"


def test_the_column_that_rows_are_sorted_by_stays(decided):
    rows = rank(decided)
    narrow, sorted_by = (
        drawn(lambda console, by=by: table(rows, [], console, by), 60) for by in (None, "-param_upper_lr")
    )
    assert "upper_lr" not in narrow and "upper_lr" in sorted_by


def test_piped_and_no_color_are_plain(decided, monkeypatch):
    board = lambda console: table(rank(decided), verdicts(decided), console)  # noqa: E731
    assert "\x1b" not in drawn(board, 80)
    assert "\x1b[" in drawn(board, 80, force_terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in drawn(board, 80, force_terminal=True) and "\x1b[1;32m" not in drawn(
        board, 80, force_terminal=True
    )


def test_json_is_unrounded_and_complete(decided):
    document = json.loads(as_json(rank(decided), verdicts(decided)))
    assert [row["trial"] for row in document["rows"]] == ["a", "k1", "b", "e", "c", "d"]
    assert document["rows"][0]["objective"] == (0.70 + 0.72 + 0.74) / 3
    assert document["rows"][-1]["objective"] is None and document["rows"][-1]["status"] == "failed"
    explored = {row["trial"]: row for row in decided}
    for row in document["rows"][3:]:
        for column in ("objective", "status", "param_upper_lr", "param_cg_iterations", "seconds"):
            assert row[column] == explored[row["trial"]][column]
    assert document["verdicts"][0]["winner"] == "a" and document["verdicts"][0]["test_gain"]["n"] == 3


def test_csv_has_the_rows_and_columns_of_the_json(decided):
    rows = rank(decided)
    parsed = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert list(parsed[0]) == list(rows[0]) and len(parsed) == len(rows)
    assert float(parsed[0]["objective"]) == rows[0]["objective"] and parsed[1]["rank"] == ""


def test_markdown_has_a_cell_for_every_heading(decided):
    lines = [line for line in as_markdown(rank(decided), verdicts(decided)).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 6 and len({line.count("|") for line in lines}) == 1
    assert "| 1 | a | confirmed | 72.0 |" in lines[2]


def test_text_stands_left_numbers_right_and_every_column_says_its_own(explore, stored):
    text = as_markdown(rank(stored([explore("a", 0.5, origin="known_good"), explore("b", 0.4)])), [])
    headings, alignments, *lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    columns = dict(zip(map(str.strip, headings), zip(*lines, strict=True), strict=True))
    aligned = dict(zip(map(str.strip, headings), map(str.strip, alignments), strict=True))
    assert [cell.strip() for cell in columns["proposed by"]] == ["known_good", ""]
    left = {name for name, alignment in aligned.items() if alignment == "---"}
    assert left == {"trial", "status", "proposed by"}


@pytest.mark.parametrize(("stage", "column"), [("bissl", "alternation"), ("finetune", "epoch")])
def test_the_curve_says_what_it_is_over(explore, stored, stage, column):
    (row,) = stored([explore("z", 0.1)])
    reports = [
        dict.fromkeys(REPORT_COLUMNS) | {"stage": stage, column: n, "objective": n / 2, "objective_name": "top1"}
        for n in (0, 1, 2)
    ]
    text = drawn(lambda c: render_trial(row, reports, [], {}, c), 80)
    kind = "alternation" if stage == "bissl" else "epoch of fine-tuning"
    assert f"Score after each {kind}" in text
    lines = [line.rstrip() for line in text.splitlines()]
    top = next(n for n, line in enumerate(lines) if line.startswith("100.0%"))
    assert lines[top : top + 6] == [
        "100.0%    █",
        "          █",
        "         ▁█",
        "         ██",
        "         ██",
        "  0.0%  ▁██",
    ]


def test_what_a_run_again_searches_is_nothing_so_it_is_tuned_once():
    written = yaml.safe_load(space_of("digits", {"upper_lr": 0.02, "finetune_lr": 0.1}))
    space = SearchSpace.model_validate(written)
    assert space.protocol.finalists * space.protocol.finetune_runs == space.protocol.trials == 1
    assert space.settings({}).finetune_lr == 0.1


def test_an_empty_board(capsys):
    assert json.loads(as_json([], [])) == {"rows": [], "verdicts": []}
    assert as_csv([]) == as_markdown([], []) == ""
    assert drawn(lambda console: table([], [], console), 80).strip() == ""


@pytest.mark.parametrize("width", [50, 80])
def test_one_trial_in_full(decided, width):
    rows = {row["trial"]: row for row in decided}
    base = {"stage": "bissl", "stopped_because": "iterations", "hvps": 40}
    reports = [
        base | {"alternation": a, "epoch": None, "objective": 0.4 + a / 1000, "cg_residual": 0.1 / a}
        for a in range(1, 101)
    ]
    reports = [dict.fromkeys(REPORT_COLUMNS) | row for row in reports]
    children = [row for row in decided if row["parent"] == "a"]
    defaults = {"upper_lr": 0.03, "cg_iterations": 0}
    text = drawn(lambda c: render_trial(rows["a"], reports, children, defaults, c), width)
    assert max(map(len, text.splitlines())) <= width
    for expected in ("default 0.03", "cg_iterations 0", "0.1 to 0.001", "a-seed2", "upper_lr: 0.01", "iterations"):
        assert expected in text


def test_the_block_to_run_a_trial_again_is_yaml_with_every_digit(explore, stored):
    import yaml

    settings = {"param_upper_lr": 1e-06, "param_cg_iterations": 0, "param_solver": "cg"}
    (row,) = stored([explore("z", 0.1, **settings)])
    text = drawn(lambda c: render_trial(row, [], [], {}, c), 80)
    block = yaml.safe_load(text[text.index("dataset: ") :])
    assert block == {
        "dataset": "cars",
        "fixed": {"upper_lr": 1e-06, "cg_iterations": 0, "finetune_lr": 0.03, "solver": "cg"},
        "protocol": {"trials": 1, "finalists": 1, "finetune_runs": 1},
    }
