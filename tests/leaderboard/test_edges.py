"""A search whose best point lies at the edge of a range says so: on the board, beside the trial, in a comparison."""

import json

import pytest
from rich.console import Console

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.leaderboard import as_json, as_markdown, read_board, table, verdicts
from bissl_ray.leaderboard.comparison.cases import CaseFacts
from bissl_ray.leaderboard.comparison.findings import notes
from bissl_ray.leaderboard.comparison.pairing import compare_cases
from bissl_ray.leaderboard.edges import edges
from bissl_ray.store.documents import write_document
from tests.cli.command import run_here

SECTIONS = {
    "dataset": "cars",
    "parameters": {
        "upper_lr": {"type": "float", "low": 0.01, "high": 0.1, "log": True},
        "cg_iterations": {"type": "int", "low": 0, "high": 10},
        "solver": {"type": "categorical", "choices": ["cg", "minres"]},
    },
    "finetune_parameters": {"finetune_lr": {"type": "float", "low": 0.015, "high": 0.15, "log": True}},
    "protocol": {"trials": 6, "finalists": 2, "finetune_runs": 2},
}
LOW = "lies at the low end of 0.015 .. 0.15"
WIDER = "widen it to 0.0015 .. 0.15 and search again"
UPPER_LR = "upper_lr: the best, 0.0105, lies at the low end of 0.01 .. 0.1: widen it to 0.001 .. 0.1 and search again"


def space(**sections):
    return SearchSpace.model_validate({**SECTIONS, **sections})


def sentences(winner, control, **sections):
    return [edge.sentence for edge in edges(space(**sections), winner, control)]


def test_each_setting_at_an_edge_is_named_with_what_to_write_instead():
    winner = {"upper_lr": 0.0105, "cg_iterations": 10, "solver": "cg", "finetune_lr": 0.0152}
    control = {"upper_lr": 0.1, "cg_iterations": 10, "finetune_lr": 0.05}
    assert sentences(winner, control) == [
        UPPER_LR,
        "cg_iterations: the best, 10, lies at the high end of 0 .. 10: widen it to 0 .. 20 and search again",
        f"finetune_lr: the best, 0.0152, {LOW}: {WIDER}",
    ]


@pytest.mark.parametrize(
    ("solver", "iterations", "named"),
    [
        ("cg", 10, ["upper_lr", "cg_iterations", "damping"]),
        ("identity", 10, ["upper_lr"]),
        ("sama", 10, ["upper_lr"]),
        ("cg", 0, ["upper_lr"]),
    ],
)
def test_what_the_best_point_does_not_read_is_at_no_edge(solver, iterations, named):
    damping = {"damping": {"type": "float", "low": 1.0, "high": 100.0, "log": True}}
    winner = {"upper_lr": 0.0105, "cg_iterations": iterations, "damping": 99.0, "solver": solver}
    found = edges(space(parameters={**SECTIONS["parameters"], **damping}), winner, None)
    assert [edge.setting for edge in found] == named


@pytest.mark.parametrize(
    ("winner", "control", "expected"),
    [
        (0.0152, 0.0158, [f"the best, 0.0152, {LOW}, and so does that of plain fine-tuning, 0.0158: {WIDER}"]),
        (0.05, 0.0158, [f"the best of plain fine-tuning, 0.0158, {LOW}: {WIDER}"]),
        (
            0.0152,
            0.149,
            [
                f"the best, 0.0152, {LOW}: {WIDER}",
                "the best of plain fine-tuning, 0.149, lies at the high end of 0.015 .. 0.15: widen it to 0.015 .. 1.5 "
                "and search again",
            ],
        ),
        (0.05, 0.05, []),
        (0.05, None, []),
    ],
)
def test_fine_tuning_is_looked_at_on_both_sides(winner, control, expected):
    of_control = None if control is None else {"finetune_lr": control}
    assert sentences({"finetune_lr": winner}, of_control) == [f"finetune_lr: {line}" for line in expected]


def test_nothing_is_said_of_a_natural_end_nor_of_what_did_not_search():
    assert sentences({"cg_iterations": 0}, None) == []
    at_edge = {"upper_lr": 0.01, "finetune_lr": 0.015}
    assert sentences(at_edge, None, protocol={"trials": 1, "finalists": 1, "finetune_runs": 1}) == []
    assert sentences(None, None) == []


@pytest.fixture
def swept(storage, stored, explore, seeds, control):
    """A sweep whose winner and control both have the lowest learning rate, with its sweep.json."""
    best = {"param_upper_lr": 0.0105, "param_cg_iterations": 5, "param_finetune_lr": 0.0152}
    rows = [
        explore("a", 0.6, **best),
        *({**row, **best} for row in seeds("a", {0: 0.7, 1: 0.72})),
        control("k1", 0.65),
        *({**row, "param_finetune_lr": 0.0158} for row in seeds("k1", {0: 0.68, 1: 0.69}, phase="control")),
        explore("b", 0.5, param_upper_lr=0.05),
    ]
    stored(rows)
    request = SweepRequest(name="first", data=DataChoice("cars"), space=space())
    write_document(storage, "first", SweepDocument(request=request))
    return storage


BOTH = f"finetune_lr: the best, 0.0152, {LOW}, and so does that of plain fine-tuning, 0.0158: {WIDER}"


def test_the_board_ends_with_it(swept):
    board = read_board(swept)
    assert [edge.sentence for edge in board.verdicts[0].edges] == [UPPER_LR, BOTH]
    assert as_markdown(board.rows, board.verdicts).endswith(f"{UPPER_LR}\n\n{BOTH}")
    (verdict,) = json.loads(as_json(board.rows, board.verdicts))["verdicts"]
    assert [edge["setting"] for edge in verdict["edges"]] == ["upper_lr", "finetune_lr"]
    assert verdict["edges"][1]["kinds"] == ["bissl", "control"]
    console = Console(width=300)
    with console.capture() as captured:
        console.print(table(board.rows, board.verdicts, console))
    assert captured.get().rstrip().splitlines()[-1].rstrip() == BOTH


@pytest.mark.parametrize(
    ("trial", "named"),
    [("a", (UPPER_LR, BOTH)), ("a-seed1", (UPPER_LR, BOTH)), ("k1", (BOTH,)), ("b", ())],
)
def test_show_says_it_of_the_trials_that_it_is_about(swept, monkeypatch, capsys, trial, named):
    monkeypatch.setenv("COLUMNS", "300")
    done = run_here(monkeypatch, capsys, "show", trial, "--storage", str(swept))
    shown = [line.rstrip() for line in done.out.splitlines()]
    assert [line for line in (UPPER_LR, BOTH) if line in shown] == list(named)


def test_a_board_without_a_readable_sweep_json_stands_without_it(swept, decided):
    (swept / "sweeps/first/sweep.json").write_text("{")
    assert read_board(swept).verdicts[0].edges == ()
    (swept / "sweeps/first/sweep.json").unlink()
    assert read_board(swept).verdicts[0].edges == ()
    assert all(verdict.edges == () for verdict in verdicts(decided))


def test_a_comparison_notes_it_with_the_sweep_where_there_are_several(decided):
    facts = CaseFacts("cars", "mine", "first", "top1", finished=True, edges=[UPPER_LR])
    assert UPPER_LR in notes(compare_cases("c", [facts], decided))
    several = [facts, CaseFacts("pets", "mine", "second", "top1", finished=False)]
    assert f"first: {UPPER_LR}" in notes(compare_cases("c", several, decided))
