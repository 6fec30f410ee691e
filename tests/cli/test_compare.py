"""`bissl-ray compare`: refusals and plans in this process, and one real comparison."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bissl_ray.compare.starts import Start
from bissl_ray.config.documents import ComparisonDocument
from bissl_ray.config.requests import Comparison
from bissl_ray.models import build_backbone
from bissl_ray.store import read_trials, to_rows
from bissl_ray.store.documents import write_document
from tests.cli.command import Done, run, run_here, tiny_space
from tests.compare.asking import prepared
from tests.search.whole_sweep import WholeSweep
from tests.sweep.stored_sweep import write_sweep


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--dataset", "digit"], "no dataset is called 'digit'"),
        (["--dataset", "digits", "--dataset", "digits"], "each dataset once"),
        (["--set", "upper_lr"], "expected NAME=VALUE"),
        (["--set", "upper_lr=fast"], "upper_lr"),
        (["--set", "image_size=7"], "image_size"),
        (["--pretrained", "nothing.pth"], "nothing.pth"),
        (["--pretrain-epochs", "some"], "--pretrain-epochs some"),
        (["--pretrained-head", "h.pth"], "--pretrained-head h.pth: found 0 checkpoints"),
        (["--allow-partial"], "add --pretrained FILE"),
        (["--from", "nothing", "--allow-partial"], "leave out --allow-partial"),
        (["--from", "nothing"], "no sweep 'nothing'"),
        (["--from", "nothing", "--trials", "3"], "leave out --trials"),
        (["--workers-per-trial", "3"], "3 workers"),
        (["--name", "42"], "'42'"),
        (["--plot", "gain.gif"], "--plot gain.gif"),
        (["--plot", "nowhere/gain.svg"], "found no folder nowhere"),
        (["--storage", "s3://bucket?region=x"], "options after '?'"),
    ],
)
def test_refused_before_anything_starts(
    arguments: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_here(monkeypatch, capsys, "compare", *arguments)
    assert done.code == 2 and done.out == ""
    assert expected in done.err and done.err.strip().count("\n") == 0
    assert list(tmp_path.iterdir()) == []


def test_dry_run_shows_both_sides_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_here(monkeypatch, capsys, "compare", "--dry-run", "--pretrain-epochs", "5,20", "--name", "plan")
    assert done.code == 0, done.err
    for words in ("plan-digits-5ep", "plan-digits-20ep", "lower_lr 0.3, upper_lr 0.01", "8 fine-tuning runs"):
        assert words in done.out
    assert list(tmp_path.iterdir()) == []
    assert done.out.count("cost: about ") == done.out.count("time: not known") == 2


def test_a_dry_run_says_what_was_read_of_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(build_backbone("smallconv").state_dict(), "own.pth")
    done = run_here(monkeypatch, capsys, "compare", "--dry-run", "--pretrained", "own.pth")
    assert done.code == 0, done.err
    assert "20 of its 20 tensors match" in done.out and "the lower level begins with a fresh one" in done.out


def begun(folder: Path, comparison: Comparison, **how: Any) -> Comparison:
    """Leave behind what a comparison whose sweeps ran so would."""
    write_document(folder / "runs", comparison.name, ComparisonDocument(comparison=comparison))
    for case in comparison.cases:
        write_sweep(folder / "runs", WholeSweep(case.request.space, **how).run(), case.request)
    return comparison


def test_going_on_changes_nothing_and_adds_no_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    begun(tmp_path, prepared("c", ["cars"], [Start("x", pretrained="/x.pth")], seeds=2))
    for flags in (["--seeds", "3"], ["--set", "upper_lr=0.5"], ["--trials", "4"]):
        refused = run_here(monkeypatch, capsys, "compare", "--name", "c", *flags)
        assert refused.code == 2 and refused.err.count("\n") == 1
        assert f"comparison c has begun, and {flags[0]} would change it: leave the options out" in refused.err
    read = run_here(monkeypatch, capsys, "compare", "--name", "c", "--seeds", "2", "--format", "csv")
    assert read.code == 0 and len(read.out.splitlines()) == 2 and "digits" not in read.out


def test_data_that_have_moved_are_looked_for_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    start = [Start("x", pretrained="/x.pth")]
    looks_that_failed = {"test_metric": lambda record: float("nan")}
    begun(tmp_path, prepared("c", ["cars"], start, data_dir="/gone", seeds=2), **looks_that_failed)
    moved = run_here(monkeypatch, capsys, "compare", "--name", "c", "--data-dir", tmp_path / "new")
    assert moved.code == 2 and f"{tmp_path}/new" in moved.err and "/gone" not in moved.err
    resumed = run_here(monkeypatch, capsys, "resume", "c-cars-x", "--data-dir", "newer")
    assert resumed.code == 2 and f"{tmp_path}/newer" in resumed.err and "/gone" not in resumed.err
    assert "/gone" in run_here(monkeypatch, capsys, "resume", "c-cars-x").err


def test_a_comparison_without_a_result_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    begun(tmp_path, prepared("c"), status=lambda record: "failed" if record.phase == "explore" else "complete")
    done = run_here(monkeypatch, capsys, "compare", "--name", "c")
    assert done.code == 1
    assert "Ended without a result on digits: BiSSL's configuration failed." in " ".join(done.out.split())


def compare(folder: Path, *arguments: object) -> Done:
    return run("compare", "--name", "tiny", *arguments, cwd=folder)


@pytest.mark.ray
def test_a_comparison_runs_once_and_is_read_again(tmp_path: Path) -> None:
    space = tiny_space(tmp_path, fixed={"alternations": 1}, protocol={"finalists": 1})
    first = compare(tmp_path, "--space", space, "--pretrain-epochs", "1", "--format", "json", "--plot", "gain.svg")
    assert first.code == 0, first.err
    document = json.loads(first.out)
    (row,) = document["rows"]
    assert row["finished"] and row["split"] == "test" and row["seeds"] == 2 and row["checkpoint"] == "1ep"
    assert row["gain"] == pytest.approx(row["bissl"] - row["control"])
    assert row["bissl_runs"] == 1 + 2 + 2 and row["control_runs"] == 2 + 2
    assert 0 < row["bissl_labelled"] <= row["control_labelled"] and row["control_unlabelled"] == 0
    trials = to_rows(read_trials(tmp_path / "runs", sweep="tiny-digits-1ep"))
    looked: dict[str, dict[int, float]] = {"confirm": {}, "control": {}}
    for trial in trials:
        if trial["test_metric"] is not None:
            looked[trial["phase"]][trial["seed"]] = trial["test_metric"]
    assert {int(s): g for s, g in row["gain_by_seed"].items()} == {
        seed: looked["confirm"][seed] - looked["control"][seed] for seed in (1, 2)
    }
    assert "<svg" in (tmp_path / "gain.svg").read_text()

    # What is finished is only read again, whatever else is asked.
    again = compare(tmp_path, "--format", "json")
    assert (again.code, again.err) == (0, "") and json.loads(again.out) == document
    refused = compare(tmp_path, "--space", space, "--pretrain-epochs", "1", "--seeds", "3")
    assert refused.code == 2 and "already, with other settings" in refused.err
    plan = compare(tmp_path, "--space", space, "--pretrain-epochs", "1,2", "--dry-run")
    assert plan.code == 0 and "tiny: 2 cases, 1 of them to run" in plan.out and "tiny-digits-2ep" in plan.out
