"""Trials whose solves change nothing, and trials that ended early: how the board and `show` say so."""

import csv
import io
import json
from typing import get_args

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from bissl_ray.bilevel import StopReason
from bissl_ray.leaderboard import as_csv, as_json, as_markdown, rank, read_board, render_trial, table, where_rows
from bissl_ray.leaderboard.marks import ended_early
from bissl_ray.store import REPORT_COLUMNS, SweepWriter, read_reports, read_trials, to_rows
from tests.leaderboard.conftest import PARAMETERS

COLLAPSED = "the pretext embeddings have collapsed to one point: they deviate by 0.01; try a smaller lower_lr"
ADDED = (
    *("implicit_change", "negative_curvature", "embedding_std", "embedding_rank", "upper_backbone_share"),
    *("lower_knn_before", "lower_probe_before", "lower_knn", "lower_probe", "cka_pretrained", "cka_upper"),
    *("distance_pretrained", "moved", "alignment_seconds"),
)


@pytest.fixture
def trials(explore, seeds, control, stored):
    """Trials by what their solves changed; b confirmed by one run that did as little and one that did more."""
    b_confirmed, c_confirmed = seeds("b", {0: 0.7, 1: 0.7}), seeds("c", {0: 0.6, 1: 0.6})
    for row, change in zip([*b_confirmed, *c_confirmed], [0.004, 0.02, 0.004, 0.0099], strict=True):
        row["implicit_change"] = change
    return stored(
        [
            explore("a", 0.5, implicit_change=0.2),
            explore("b", 0.6, implicit_change=0.001),
            explore("c", 0.55, implicit_change=0.0, param_cg_iterations=0),
            explore("d", 0.3, "pruned", implicit_change=0.0099, status_reason=COLLAPSED),
            explore("e", 0.2, "running", implicit_change=0.0),
            explore("f", 0.1, "pruned", implicit_change=0.01, status_reason="ASHA: behind at alternation 2"),
            explore("g", None, "failed", implicit_change=0.001, status_reason="DivergedError: the lower loss is nan"),
            explore("h", 0.05),
            *b_confirmed,
            *c_confirmed,
            control("k", 0.6),
            *seeds("k", {0: 0.65, 1: 0.66}, phase="control"),
        ]
    )


def drawn(renderable, width=80):
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable(console))
    return console.file.getvalue()


def test_a_configuration_acts_as_identity_where_all_its_ended_runs_do(trials):
    found = {row["trial"]: (row["implicit_change"], row["acts_as_identity"]) for row in rank(trials)}
    assert found == {
        "a": (0.2, False),
        "b": (0.02, False),
        "c": (0.0099, True),
        "d": (0.0099, True),
        "e": (0.0, None),
        "f": (0.01, False),
        "g": (0.001, None),
        "h": (None, None),
        "k": (None, None),
    }
    assert [row["trial"] for row in where_rows(rank(trials), "acts_as_identity")] == ["c", "d"]


@pytest.mark.parametrize("width", [40, 80, 140])
def test_the_board_marks_them_and_says_what_the_mark_means(trials, width):
    lines = drawn(lambda console: table(rank(trials), [], console), width).splitlines()
    assert max(map(len, lines)) <= width
    assert sum(" ≡ " in line and "acts" not in line for line in lines) == 2
    text = " ".join(" ".join(lines).split())
    assert "≡ acts as identity: solving changed the gradient of θ_D by less than 1%" in text
    assert (
        "g failed: DivergedError: the lower loss is nan d pruned: the pretext embeddings have collapsed to one point: "
        "they deviate by 0.01"
    ) in text
    assert "ASHA" not in text and "try a smaller" not in text
    unmarked = [row for row in rank(trials) if row["trial"] in ("a", "f")]
    assert "≡" not in drawn(lambda console: table(unmarked, [], console), width)


def test_every_format_has_them(trials):
    rows = rank(trials)
    markdown = as_markdown(rows, [])
    assert "| d ≡ | pruned |" in markdown and "≡ acts as identity" in markdown and "g failed:" in markdown
    assert "| 0.99% |" in markdown and "| 20% |" in markdown
    by_trial = {row["trial"]: row for row in json.loads(as_json(rows, []))["rows"]}
    assert (by_trial["d"]["acts_as_identity"], by_trial["a"]["acts_as_identity"]) == (True, False)
    assert by_trial["e"]["acts_as_identity"] is None and by_trial["d"]["status_reason"] == COLLAPSED
    parsed = {row["trial"]: row for row in csv.DictReader(io.StringIO(as_csv(rows)))}
    assert (parsed["c"]["acts_as_identity"], parsed["c"]["implicit_change"]) == ("True", "0.0099")


def test_of_many_reasons_a_few_are_given_and_trials_that_share_one_stand_together(explore, stored):
    rows = rank(stored([explore(f"t{i}", 0.1, "pruned", status_reason=f"their rank is {i}; x") for i in range(5)]))
    *given, rest = ended_early(rows)
    assert len(given) == 3 and rest == "2 more ended early; the reason of each: bissl-ray show TRIAL"
    rows = rank(stored([explore(f"u{i}", 0.1, "failed", status_reason="out of memory") for i in range(8)]))
    assert ended_early([row for row in rows if row["trial"].startswith("u")]) == [
        "u0, u1, u2, u3, u4, u5 and 2 more failed: out of memory"
    ]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"implicit_change": 0.0004},
            "acts as identity: solving changed the gradient of θ_D by 0.04% at most, below 1%",
        ),
        ({"implicit_change": 0.0004, "status": "running"}, "acts as identity so far"),
        (
            {"implicit_change": 1e-9, "param_cg_iterations": 0},
            "by its own setting (cg_iterations 0): nothing was solved",
        ),
        ({"implicit_change": 1e-9, "param_solver": "identity"}, "(solver identity): nothing was solved"),
        ({"implicit_change": 0.38}, "changed the gradient of θ_D by up to 38% against the identity"),
    ],
)
def test_show_says_it_in_words_with_the_figure(explore, stored, columns, words):
    (row,) = stored([explore("a", 0.5, **{"param_cg_iterations": 3, **columns})])
    assert words in " ".join(drawn(lambda c: render_trial(row, [], [], {}, c), 100).split())


def test_show_draws_the_health_of_alternations_and_the_whole_reason(explore, stored):
    (row,) = stored([explore("a", 0.5, "pruned", status_reason=COLLAPSED, negative_curvature=7)])
    health = {
        "cg_residual": (0.1, 0.2),
        "cg_residual_max": (0.3, 0.4),
        "implicit_change": (0.25, 0.5),
        "implicit_ratio": (1.5, 2.5),
        "embedding_std": (0.9, 0.01),
        "embedding_rank": (30.0, 1.25),
    }
    base = dict.fromkeys(REPORT_COLUMNS) | {"stage": "bissl"}
    reports = [base | {"alternation": a + 1} | {name: pair[a] for name, pair in health.items()} for a in (0, 1)]
    text = drawn(lambda c: render_trial(row, reports, [], {}, c), 140)
    assert COLLAPSED in text
    for first, last in health.values():
        assert f"{first:g} to {last:g}" in text


@pytest.mark.parametrize("reason", get_args(StopReason))
def test_show_says_in_words_why_the_solver_stopped(explore, stored, reason):
    (row,) = stored([explore("a", 0.5)])
    report = dict.fromkeys(REPORT_COLUMNS) | {"stage": "bissl", "alternation": 1, "stopped_because": reason}
    (line,) = [
        s for s in drawn(lambda c: render_trial(row, [report], [], {}, c)).splitlines() if "stopped because" in s
    ]
    assert len(line.partition("because")[2].split()) > 2 and "_" not in line


def test_a_null_that_is_a_value_is_shown_and_run_again(explore, stored):
    (row,) = stored([explore("a", 0.5, param_cg_iterations=None)])
    text = drawn(lambda c: render_trial({**row, "param_clip_norm": None}, [], [], {"clip_norm": 3.0}, c))
    assert "clip_norm: null" in text and "default 3" in text and "cg_iterations" not in text


def test_a_setting_of_another_release_is_shown_and_not_run_again(explore, stored):
    (row,) = stored([explore("a", 0.5)])
    shown, again = drawn(lambda c: render_trial({**row, "param_lower_rl": 0.25}, [], [], {}, c)).split(
        "Its settings as a"
    )
    assert "lower_rl" in shown and "0.25" in shown and "lower_rl" not in again


def test_a_store_from_before_these_columns_still_reads(storage, explore):
    with SweepWriter(storage, "cars", "old", PARAMETERS) as writer:
        writer.trial(explore("a", 0.5, implicit_change=0.001))
        writer.report({"trial": "a", "stage": "bissl", "alternation": 1, "embedding_std": 0.5})
    for path in storage.rglob("*.parquet"):
        old = pq.ParquetFile(path).read()
        path.unlink()  # which has a checksum in its name, as files from before have not
        before = path.with_name(f"{path.stem.rpartition('-')[0]}.parquet")
        pq.write_table(old.drop_columns([name for name in ADDED if name in old.column_names]), before)
    (trial,), (report,) = to_rows(read_trials(storage)), to_rows(read_reports(storage))
    assert not any(row.get(name) is not None for name in ADDED for row in (trial, report))
    assert "moved" in trial and "moved" in report and report["embedding_std"] is None
    (row,) = read_board(storage).rows
    assert row["objective"] == 0.5 and row["acts_as_identity"] is None
    text = drawn(lambda c: render_trial(trial, [report], [], {}, c))
    assert "identity" not in text
    # And it is written on.
    with SweepWriter(storage, "cars", "old", PARAMETERS) as writer:
        writer.trial({"trial": "a", "implicit_change": 0.5})
    assert to_rows(read_trials(storage))[0]["implicit_change"] == 0.5
