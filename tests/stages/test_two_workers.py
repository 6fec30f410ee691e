"""Every stage on two workers from the command line, through Ray, and interrupted on the way."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Done, run, start, tiny_space

pytestmark = pytest.mark.ray

TWO = ("--workers", 2)


def document(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "runs/stages" / name / "stage.json").read_text())
    return found


def done(folder: Path, *arguments: object) -> Done:
    ended = run(*arguments, cwd=folder)
    assert ended.code == 0, ended
    return ended


def test_two_workers_from_pretraining_to_evaluation(tmp_path: Path) -> None:
    space = ("--space", tiny_space(tmp_path))
    pretrain = ("pretrain", *space, *TWO, "--name", "pre", "--set", "pretrain_epochs=25")
    process = start(*pretrain, cwd=tmp_path)
    assert process.stdout is not None
    line = ""
    while "pretraining: epoch" not in line:
        line = process.stdout.readline()
        assert line, process.communicate()
    os.kill(process.pid, signal.SIGINT)
    asked = time.monotonic()
    out, err = process.communicate(timeout=90)
    assert process.returncode == 130 and "Go on with:" in out and "Traceback" not in err, (out, err)
    assert time.monotonic() - asked < 45
    assert document(tmp_path, "pre")["status"] == "interrupted"
    again = done(tmp_path, *pretrain)
    epochs = [int(line.split("epoch ")[1].split(",")[0]) for line in again.out.splitlines() if "ing: epoch" in line]
    assert epochs[0] > 1 and epochs[-1] == 25 and "goes on from its last saved progress" in again.out

    done(tmp_path, "train", *space, *TWO, "--name", "bi", "--start", "runs/stages/pre/pretrained.pt")
    done(tmp_path, "finetune", *space, *TWO, "--name", "fine", "--start", "runs/stages/bi/aligned.pt")
    model = ("--start", "runs/stages/fine/finetuned.pt", "--split", "test", "--json")
    both = json.loads(done(tmp_path, "evaluate", *TWO, *model).out)
    alone = json.loads(done(tmp_path, "evaluate", *model).out)
    # Every image counts once, for any number of workers.
    assert both["metrics"]["model"] == pytest.approx(alone["metrics"]["model"], abs=1e-6)
    assert document(tmp_path, "fine")["where"] == "on 2 workers of this machine, on CPUs"
    assert sorted(path.name for path in (tmp_path / "runs/stages/fine").iterdir()) == ["finetuned.pt", "stage.json"]
