"""Every stage on two workers from the command line, through Ray: interrupted here, gone on with on a cluster."""

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Done, run, start, tiny_space
from tests.conftest import RunningCluster

pytestmark = pytest.mark.ray

TWO = ("--workers", 2)


def document(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "runs/stages" / name / "stage.json").read_text())
    return found


def test_two_workers_from_pretraining_to_evaluation(cluster: RunningCluster, tmp_path: Path) -> None:
    def done(*arguments: object) -> Done:
        ended = run(*arguments, cwd=tmp_path, **cluster.token)
        assert ended.code == 0, ended
        return ended

    there = (*TWO, "--address", cluster.address)
    space = ("--space", tiny_space(tmp_path))
    pretrain = ("pretrain", *space, "--name", "pre", "--set", "pretrain_epochs=25")
    process = start(*pretrain, *TWO, cwd=tmp_path)
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
    begun = document(tmp_path, "pre")
    assert (begun["status"], begun["where"]) == ("interrupted", "on 2 workers of this machine, on CPUs")
    again = done(*pretrain, *there)
    epochs = [int(line.split("epoch ")[1].split(",")[0]) for line in again.out.splitlines() if "ing: epoch" in line]
    assert epochs[0] > 1 and epochs[-1] == 25 and "goes on from its last saved progress" in again.out

    done("train", *space, *there, "--name", "bi", "--start", "runs/stages/pre/pretrained.pt")
    done("finetune", *space, "--name", "fine", "--start", "runs/stages/bi/aligned.pt")
    model = ("--start", "runs/stages/fine/finetuned.pt", "--split", "test", "--json")
    both = json.loads(done("evaluate", *there, *model).out)
    alone = json.loads(done("evaluate", *model).out)
    # Every image counts once, for any number of workers.
    assert both["metrics"]["model"] == pytest.approx(alone["metrics"]["model"], abs=1e-6)
    assert document(tmp_path, "bi")["where"] == f"on 2 workers of the cluster at {cluster.address}, on CPUs"
    for name, model_file in (("pre", "pretrained.pt"), ("bi", "aligned.pt")):
        assert sorted(path.name for path in (tmp_path / "runs/stages" / name).iterdir()) == [model_file, "stage.json"]

    wild = ("--start", "runs/stages/bi/aligned.pt", "--set", "finetune_lr=1.0e+30", "--set", "clip_norm=null")
    failed = run("finetune", *space, *there, "--name", "wild", *wild, cwd=tmp_path, **cluster.token)
    assert failed.code == 1 and "Traceback" not in failed.err
    assert len(failed.err.strip().splitlines()) == 1 and re.search(r"\b(nan|inf)\b", failed.err)
    assert document(tmp_path, "wild")["status"] == "failed"
