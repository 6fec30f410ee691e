"""What stands in a report: verdict, board, figures or why there are none, how to run it again; all of it escaped."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from bissl_ray.config import load_search_space
from bissl_ray.report import drawing, make_report, read_subject
from bissl_ray.report.drawing import MOST_BYTES
from tests.report.stored import write_sweep


def report_of(storage: Path, *names: str) -> str:
    return make_report([read_subject(str(storage), name) for name in names], str(storage), "report.html").html


def figures_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.S)
    assert found is not None
    return dict(json.loads(found[1]))


def shown(page: str) -> str:
    """The page as it is read: no scripts, no styles, no tags."""
    from html import unescape

    bare = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.S)
    return unescape(re.sub(r"<[^>]+>", " ", bare))


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A sweep of 30 trials with early stopping, and its report."""
    storage = tmp_path_factory.mktemp("storage")
    write_sweep(storage, 30)
    return storage, report_of(storage, "night")


def test_the_verdict_comes_first(night) -> None:
    words = shown(night[1])
    verdict = "BiSSL wins on digits: 84.6% against 81.6% for plain fine-tuning on the test split, +3.0 points"
    assert 0 < words.index(verdict) < words.index("Board")


def test_every_figure_is_there_once_and_has_its_place(night) -> None:
    figures = figures_of(night[1])
    kinds = {name.removeprefix("night-").partition("-")[0] for name in figures}
    assert kinds == {
        *("history", "curves", "parallel", "importances", "cost", "rungs", "slice", "contour"),
        *("confirmed", "alternations", "finetuning"),
    }
    for key in figures:
        assert night[1].count(f'id="{key}"') == 1
    assert "Not drawn: nothing of it was measured: alignment_every is 0" in shown(night[1])


def test_the_history_knows_its_trials_and_those_that_were_stopped(night) -> None:
    whole, best, stopped = figures_of(night[1])["night-history"]["data"]
    assert whole["text"][:3] == ["t00000", "t00003", "t00006"] and stopped["text"][:2] == ["t00001", "t00002"]
    assert best["name"] == "best so far"


def test_those_that_were_stopped_are_compared_at_the_first_rung(night) -> None:
    words = "Scores after alternation 2, which 29 of 30 trials have"
    assert words in shown(night[1])
    (points,) = figures_of(night[1])["night-slice-direct_weight"]["data"]
    assert len(points["text"]) == 29


def test_importances_say_what_their_interval_is_and_what_chance_gives(night) -> None:
    assert "Whiskers: 90% of 60 bootstrap resamples of the trials" in shown(night[1])
    assert "Beyond chance: direct_weight." in shown(night[1])  # which the scores were made of
    bars, chance = figures_of(night[1])["night-importances"]["data"]
    assert chance["name"] == "chance" and set(bars["error_x"]) >= {"array", "arrayminus"}


def test_how_many_reached_each_rung(night) -> None:
    (bars,) = figures_of(night[1])["night-rungs"]["data"]
    assert dict(zip(bars["x"], bars["text"], strict=True)) == {"begun": "30", "alternation 2": "30", "4, the end": "10"}


def test_what_can_not_be_drawn_is_a_sentence_why(tmp_path) -> None:
    write_sweep(tmp_path, 1, confirmed=False, early_stopping=False)
    page = report_of(tmp_path, "night")
    words = shown(page)
    assert "this sweep stops no trial early, so it has no rungs" in words
    assert "importances take 20 trials with a score and two settings that vary; there are 1 and 0." in words
    assert "nothing that was searched varies" in words and "Not confirmed yet on digits" in words


def test_a_sweep_without_trials_or_without_its_document(tmp_path) -> None:
    write_sweep(tmp_path, 0, confirmed=False)
    assert "Nothing to tell yet of night: it has no trial." in shown(report_of(tmp_path, "night"))
    write_sweep(tmp_path, 6, "lost")
    (tmp_path / "sweeps/lost/sweep.json").write_text("{")
    words = shown(report_of(tmp_path, "lost"))
    assert "what was searched is not known" in words and "is not JSON" in words
    (tmp_path / "sweeps/lost/sweep.json").unlink()
    assert "there is no sweep.json of lost" in shown(report_of(tmp_path, "lost"))


def test_settings_that_a_solver_does_not_read_are_conditional(tmp_path) -> None:
    write_sweep(tmp_path, 24, choices=["cg", "identity"], early_stopping=False, confirmed=False)
    page = report_of(tmp_path, "night")
    bars, _ = figures_of(page)["night-importances"]["data"]
    assert set(bars["y"]) == {"lower_lr", "direct_weight", "cg_iterations", "solver"}
    (points,) = figures_of(page)["night-slice-cg_iterations"]["data"]
    assert 0 < len(points["text"]) < 23  # identity runs none


def test_what_is_to_be_small_goes_down(tmp_path) -> None:
    write_sweep(tmp_path, 24, objective_name="validation_neg_loss")
    figures = figures_of(report_of(tmp_path, "night"))
    whole, best, _ = figures["night-history"]["data"]
    scores = whole["y"]
    assert all(score < 0 for score in scores)  # the objective is what is to be small, less its sign
    assert best["y"][-1] == min(scores) and figures["night-history"]["layout"]["yaxis"]["title"]["text"] == "loss"


def test_what_a_storage_holds_is_text(tmp_path) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    write_sweep(tmp_path, 6, reason=evil)
    page = report_of(tmp_path, "night")
    assert "<script>alert" not in page and "<img" not in page.split("<script>")[0]
    assert evil in shown(page).replace("\n", " ")
    assert page.count("</script>") == 3  # the figures, plotly, ours


def test_secrets_are_left_out(tmp_path) -> None:
    write_sweep(tmp_path, 6, reason="https://me:hunter2@example.org/x refused")
    assert "hunter2" not in report_of(tmp_path, "night")


def test_it_holds_all_that_it_needs_and_is_small_enough(night) -> None:
    page = night[1]
    assert page.count("plotly.js v") == 1 and len(page.encode()) < MOST_BYTES
    assert not re.search(r"<(?:script|link|img|iframe)[^>]*\b(?:src|href)=", page.split("<script>")[0])
    assert "default-src 'none'" in page and 'name="viewport"' in page
    assert "@media print" in page and "prefers-color-scheme: dark" in page


def test_the_commands_are_those_of_the_command_line(night, tmp_path) -> None:
    from bissl_ray.cli.main import app

    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    told = re.findall(r"<pre><code>(bissl-ray [^<]*)</code>", night[1])
    assert {line.split()[1] for line in told} >= {"resume", "sweep", "train", "export", "report"}
    for line in told:
        verb, *arguments = shlex.split(line)[1:]
        verbs[verb].make_context(verb, arguments)  # refuses flags that there are not


def test_the_search_space_can_be_taken_as_it_stands(night, tmp_path) -> None:
    written = re.search(r"The search space, resolved</summary><pre><code>(.*?)</code>", night[1], re.S)
    assert written is not None
    from html import unescape

    (tmp_path / "space.yaml").write_text(unescape(written[1]))
    assert yaml.safe_load(unescape(written[1]))["dataset"] == "digits"
    again = load_search_space(str(tmp_path / "space.yaml"))
    original = read_subject(str(night[0]), "night").sweeps[0].document
    assert original is not None and again.to_mapping() == original.request.space.to_mapping()


def test_several_sweeps_are_drawn_together_and_folded(tmp_path) -> None:
    write_sweep(tmp_path, 8, "one")
    write_sweep(tmp_path, 8, "two")
    page = report_of(tmp_path, "one", "two")
    assert [trace["name"] for trace in figures_of(page)["together"]["data"]] == ["one", "two"]
    assert page.count('<details class="sweep">') == 2
    assert "one: BiSSL wins" in shown(page) and "two: BiSSL wins" in shown(page)


def test_the_largest_dispensable_figures_are_left_out_first(tmp_path, monkeypatch) -> None:
    write_sweep(tmp_path, 12)
    whole = figures_of(report_of(tmp_path, "night"))
    kept = sum(len(json.dumps(figure)) for figure in whole.values()) // 2
    monkeypatch.setattr(drawing, "MOST_BYTES", len(drawing.plotly_script()) + 2 * drawing._OF_WORDS + kept)
    page = report_of(tmp_path, "night")
    assert "night-history" in figures_of(page) and not any("contour" in key for key in figures_of(page))
    assert "it was left out to keep this file below" in shown(page)


@pytest.mark.slow
def test_ten_thousand_trials_are_drawn_as_a_sample_that_says_so(tmp_path) -> None:
    write_sweep(tmp_path, 10_000, alternations=2, grace=1)
    page = report_of(tmp_path, "night")
    assert len(page.encode()) < MOST_BYTES
    assert "1,000 of 10,000 points drawn" in shown(page)
    whole, _, stopped = figures_of(page)["night-history"]["data"]
    # Its numbers and its scores are those of the trials, though a sample is drawn.
    known = {row["trial"]: row for row in read_subject(str(tmp_path), "night").sweeps[0].trials}
    assert all(known[name]["status"] == "complete" for name in whole["text"])
    assert len(whole["text"]) + len(stopped["text"]) <= 1000
