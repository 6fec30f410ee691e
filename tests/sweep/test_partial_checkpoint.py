"""A checkpoint that fills a part of the backbone only, through the command line."""

import pytest
import torch

from bissl_ray.models import build_backbone
from tests.cli.command import run_here, tiny_space


@pytest.fixture
def arguments(tmp_path):
    state = build_backbone("smallconv").state_dict()
    part = {f"module.encoder_q.{key}": value for key, value in state.items() if not key.startswith("layer3")}
    torch.save({"state_dict": part}, tmp_path / "moco.pth")
    return ["sweep", "--space", tiny_space(tmp_path), "--pretrained", tmp_path / "moco.pth", "--dry-run"]


@pytest.mark.slow
def test_it_is_refused_and_says_how_to_allow_it(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    done = run_here(monkeypatch, capsys, *arguments)
    assert done.code == 2
    assert "15 of its 20 tensors match, 5 missing (layer3.0.weight, layer3.1.weight, ...)" in done.err
    assert "--allow-partial" in done.err


def test_allowed_it_is_told_what_matched(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    done = run_here(monkeypatch, capsys, *arguments, "--allow-partial")
    assert done.code == 0
    assert "# smallconv from" in done.out
    assert "15 of its 20 tensors match" in done.out
    assert "# read as MoCo (encoder_q.*)" in done.out


def test_a_head_that_does_not_fit_is_left_out_if_allowed(tmp_path, monkeypatch, capsys):
    state = build_backbone("smallconv").state_dict()
    torch.save({**state, "projector.0.weight": torch.ones(2, 64)}, tmp_path / "own.pth")
    asked = ["sweep", "--space", tiny_space(tmp_path), "--pretrained", tmp_path / "own.pth", "--dry-run"]
    done = run_here(monkeypatch, capsys, *asked)
    assert done.code == 2
    assert "does not fit the head of SimCLR" in done.err
    assert "--allow-partial leaves it out" in done.err
    done = run_here(monkeypatch, capsys, *asked, "--allow-partial")
    assert done.code == 0
    assert "# the pretext head is left out, and the lower level begins with a fresh one" in done.out


def test_without_a_checkpoint_there_is_nothing_to_allow(tmp_path, monkeypatch, capsys):
    for flag, given in (("--allow-partial", []), ("--pretrained-head", ["head.pth"])):
        done = run_here(monkeypatch, capsys, "sweep", "--space", tiny_space(tmp_path), "--dry-run", flag, *given)
        assert done.code == 2
        assert f"{flag} says how a checkpoint is read, and none was given" in done.err
