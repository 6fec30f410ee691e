"""Ctrl-C, and worse: run again under the same name, a stage goes on and ends with the very same bits."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from bissl_ray.cli.stage_view import interrupted
from bissl_ray.progress import Step
from bissl_ray.training import files
from tests.cli.command import run as command
from tests.cli.command import start, tiny_space
from tests.stages.stage_runs import Impatient, file, run
from tests.views import Seen

pytestmark = pytest.mark.slow

LONG = ("pretrain_epochs=4", "head_epochs=3")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every stage run without interruption."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder, "pretrain", "pretrain", *LONG)
    run(folder, "train", "train", *LONG, start=file(folder, "pretrain"))
    run(folder, "finetune", "finetune", *LONG, start=file(folder, "pretrain"))
    return folder


def tensors(path: str) -> dict[str, torch.Tensor]:
    content = torch.load(path, weights_only=True)
    parts = [part for part in ("backbone", "pretext", "downstream") if content.get(part)]
    return {f"{part}.{name}": tensor for part in parts for name, tensor in content[part].items()}


def same(found: str, expected: str) -> bool:
    one, other = tensors(found), tensors(expected)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("stage", "pressed_after"), [("pretrain", 2), ("train", 2), ("finetune", 3)])
def test_ctrl_c_saves_and_the_same_name_goes_on(whole: Path, tmp_path: Path, stage: str, pressed_after: int) -> None:
    start_from: dict[str, Any] = {} if stage == "pretrain" else {"start": file(whole, "pretrain")}
    first, second = Impatient(pressed_after), Seen()
    stopped = run(tmp_path, stage, "cut", *LONG, view=first, **start_from)
    assert not stopped.finished and interrupted(stopped) == "Interrupted; where it was is saved. Go on"
    assert json.loads((tmp_path / "runs/stages/cut/stage.json").read_text())["status"] == "interrupted"
    ended = run(tmp_path, stage, "cut", *LONG, view=second, **start_from)
    assert ended.finished and any("goes on" in line for line in second.notes)
    everything = Seen()
    run(tmp_path, stage, "uncut", *LONG, view=everything, **start_from)
    # What was reported before is not run again.
    losses = [row.get("train_loss", row.get("lower_loss")) for row in everything.rows]
    assert [row.get("train_loss", row.get("lower_loss")) for row in (*first.rows, *second.rows)] == losses
    assert same(file(tmp_path, "cut"), file(whole, stage))


def test_an_evaluation_is_interrupted_between_batches(whole: Path, tmp_path: Path) -> None:
    view = Seen(lambda event: os.kill(os.getpid(), signal.SIGINT) if isinstance(event, Step) else None)
    model = {"start": file(whole, "finetune"), "what": {"ways": ("score",)}}
    cut = run(tmp_path, "evaluate", "cut", view=view, **model)
    assert not cut.finished and interrupted(cut).endswith("saved before its end. Begin it again")
    assert [(step.stage, step.unit, step.total) for step in view.steps] == [("validation images", "batch", 1)]
    assert run(tmp_path, "evaluate", "cut", **model).finished


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("stop_at", [1, 4, 9])
def test_progress_is_saved_in_the_middle_of_an_epoch(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    monkeypatch.setattr(files, "_WRITING_SHARE", 1e12)

    saved = []
    save = files.SavedProgress.save

    def save_and_die(self: files.SavedProgress, content: dict[str, Any]) -> None:
        save(self, content)
        saved.append(content["state"])
        if len(saved) == stop_at:
            raise _KilledError

    monkeypatch.setattr(files.SavedProgress, "save", save_and_die)
    with pytest.raises(_KilledError):
        run(tmp_path, "finetune", "cut", *LONG, start=file(whole, "pretrain"))
    monkeypatch.setattr(files.SavedProgress, "save", save)
    run(tmp_path, "finetune", "cut", *LONG, start=file(whole, "pretrain"))
    assert same(file(tmp_path, "cut"), file(whole, "finetune"))


def steps_saved(path: Path) -> int:
    return int(torch.load(path, weights_only=True)["state"]["step"]) if path.exists() else 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_command_is_interrupted(whole: Path, tmp_path: Path, number: signal.Signals) -> None:
    epochs = ("--set", "pretrain_epochs=4000")
    arguments = ("pretrain", "--space", tiny_space(tmp_path), *epochs, "--name", "cut")
    process = start(*arguments, cwd=tmp_path)
    deadline = time.monotonic() + 120
    # The first save may come within the first epoch: the run is cut when a later one is in the file.
    while steps_saved(tmp_path / "runs/stages/cut/progress.pt") < 100:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)
    refused = command(*arguments, cwd=tmp_path)
    assert refused.code == 2 and f"pretrain run cut is being run by process {process.pid}" in refused.err
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130 and "Traceback" not in err
        assert f"Go on with:\n  bissl-ray pretrain --space {tmp_path}/tiny.yaml" in out and "--name cut" in out
    again = start(*arguments, cwd=tmp_path)
    line = ""
    while "pretraining: epoch" not in line:
        assert again.stdout is not None
        line = again.stdout.readline()
    again.kill()
    assert int(line.split("epoch ")[1].split(",")[0]) > 1
