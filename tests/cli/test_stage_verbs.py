"""The stages from the command line: what a dry run prints, and what is refused before anything starts."""

import json
import shlex
from pathlib import Path

import pytest
import torch
import yaml

from bissl_ray.config import Settings
from bissl_ray.models import build_backbone, checkpoint_content
from tests.cli.command import Refused, one_line, run_here, tiny_space
from tests.config.test_shipped_spaces import OTHERS, PUBLISHED


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkpoint of the smallest backbone, without any head."""
    content = checkpoint_content(build_backbone("smallconv").state_dict(), None, {"backbone": "smallconv"})
    torch.save(content, tmp_path / "small.pt")
    return tmp_path / "small.pt"


@pytest.mark.slow
@pytest.mark.parametrize("pretext", ["simclr", "byol"])
@pytest.mark.parametrize("dataset", PUBLISHED)
def test_the_published_settings_come_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dataset: str, pretext: str
) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = () if pretext == "simclr" else ("--set", f"pretext={pretext}")
    done = run_here(monkeypatch, capsys, "train", "--dataset", dataset, *chosen, "--dry-run")
    assert done.code == 0, done
    upper_lr, upper_weight_decay = PUBLISHED[dataset][pretext]
    point = {"pretext": pretext, "upper_lr": upper_lr, "upper_weight_decay": upper_weight_decay}
    expected = Settings.model_validate(point | OTHERS.get(dataset, {}))
    document = yaml.safe_load(done.out)
    assert document["dataset"] == dataset
    assert document["fixed"] == expected.model_dump()
    assert not list(tmp_path.iterdir())


def test_a_dry_run_says_where_each_setting_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], small: Path
) -> None:
    space = tiny_space(tmp_path)
    arguments = ("--space", space, "--start", small, "--set", "lower_lr=0.7", "--set", "clip_norm=null", "--dry-run")
    done = run_here(monkeypatch, capsys, "train", *arguments)
    origins = {line.split(":")[0].strip(): line.partition("#")[2].strip() for line in done.out.splitlines()}
    assert done.code == 0, done
    assert origins["lower_lr"] == origins["clip_norm"] == "--set"
    assert origins["upper_lr"] == f"{space}, known-good point 1"
    assert origins["alternations"] == str(space)
    assert origins["upper_momentum"] == "default"
    assert "# data: 10 classes; 900 pretext" in done.out and "nothing was started" in done.out


def test_what_a_dry_run_prints_gives_the_same_settings_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run_here(monkeypatch, capsys, "train", "--set", "lower_lr=0.125", "--dry-run").out
    (tmp_path / "again.yaml").write_text(first)
    second = run_here(monkeypatch, capsys, "train", "--space", tmp_path / "again.yaml", "--dry-run").out
    assert yaml.safe_load(first) == yaml.safe_load(second)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["pretrain", "--dataset", "digit"], "'digit'"),
        (["pretrain", "--set", "pretrain_rl=1"], "did you mean 'pretrain_lr'"),
        (["pretrain", "--set", "pretrain_lr"], "expected NAME=VALUE"),
        (["pretrain", "--set", "pretrain_lr=fast"], "found 'fast', expected a number"),
        (["pretrain", "--set", "pretrain_epochs=2.5"], "--set pretrain_epochs=2.5: found 2.5, expected"),
        (["pretrain", "--set", "pretrain_lr=1", "--set", "pretrain_lr=2"], "given twice"),
        (["pretrain", "--set", "pretext=simcrl"], "did you mean 'simclr'"),
        (["pretrain", "--set", "curvature_batch=128", "--set", "lower_batch=64"], "curvature_batch"),
        (["pretrain", "--point", "2"], "--point 2: expected one from 1 to 1"),
        (["pretrain", "--workers", "0"], "--workers 0: expected 1 or more"),
        (["pretrain", "--seed", "-1"], "--seed -1"),
        (["pretrain", "--workers", "3"], "pretrain_batch is 128, which 3 workers can't share"),
        (["pretrain", "--workers", "2", "--address", "here"], "--address here"),
        (["pretrain", "--name", "42"], "'42'"),
        (["pretrain", "--dataset", "cars"], "needs a data folder"),
        (["pretrain", "--splits-dir", "."], "has neither digits_train_split.txt nor digits_val_split.txt"),
        (["train"], "train starts from a checkpoint of smallconv, and none was given: add --start FILE"),
        (["train", "--start", "nowhere.pt"], "no checkpoint file at"),
        (["train", "--start", "small.pt", "--workers", "3"], "upper_batch is 32, which 3 workers"),
        (["train", "--workers", "3", "--dry-run"], "upper_batch is 32, which 3 workers"),
        (["train", "--start", "small.pt", "--set", "backbone=resnet18"], "it looks like smallconv"),
        (["train", "--start-head", "head.pth"], "--start-head says how a checkpoint is read"),
        (["train", "--start", "small.pt", "--pretext-data-dir", "."], "needs --pretext-dataset NAME"),
        (["train", "--from-trial", "night/t000"], "no trial in"),
        (["finetune", "--allow-partial"], "--allow-partial says how a checkpoint is read"),
        (["evaluate", "--start", "small.pt"], "has no head for digits"),
        (["evaluate", "--start", "small.pt", "--split", "train"], "'train' is not one of"),
    ],
)
def test_refused(small: Path, refused: Refused, arguments: list[str], expected: str) -> None:
    said = refused(*arguments)
    assert expected in (said if "data folder" in expected else one_line(said))


def test_an_unwritable_storage(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "--storage" in one_line(refused("pretrain", "--storage", tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.slow
def test_the_next_command_is_printed_and_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["pretrain", "--space", str(tiny_space(tmp_path)), "--set", "head_epochs=2", "--name", "first"]
    for verb, following in (("pretrain", "train"), ("train", "finetune"), ("finetune", "evaluate")):
        done = run_here(monkeypatch, capsys, *command)
        assert done.code == 0 and f"{verb} on digits: " in done.out, done
        command = shlex.split(done.out.splitlines()[-1].removeprefix("Next: bissl-ray "))
        assert command[0] == following and ("head_epochs=2" in command) == (following != "evaluate")
    done = run_here(monkeypatch, capsys, *command)
    assert done.code == 0 and "digits, validation split" in done.out
    again = run_here(monkeypatch, capsys, *command, "--json")
    assert set(json.loads(again.out)["metrics"]["model"]) >= {"top1", "top5", "mean_per_class", "loss"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU it can be had")
@pytest.mark.parametrize("verb", ["pretrain", "sweep"])
def test_replay_on_a_cpu_is_refused_before_anything_starts(tmp_path: Path, refused: Refused, verb: str) -> None:
    space = tiny_space(tmp_path, fixed={"replay": "on"})
    said = one_line(refused(verb, "--dataset", "digits", "--space", space, "--dry-run"))
    assert "replay is on, and there is no CUDA device to record on; set it to auto or off" in said


@pytest.mark.parametrize(("backbone", "lower_memory"), [("resnet18", "chunks"), ("vit_ti_16", "half")])
def test_a_way_to_spare_memory_that_can_not_be_had_is_refused(
    refused: Refused, backbone: str, lower_memory: str
) -> None:
    chosen = ("--set", f"backbone={backbone}", "--set", f"lower_memory={lower_memory}", "--dry-run")
    assert "lower_memory" in one_line(refused("pretrain", "--dataset", "digits", *chosen))
