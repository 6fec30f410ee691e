"""A sweep of a detector on files laid out as VOC: two workers a trial, a published checkpoint, an interruption."""

import os
import signal
from pathlib import Path

import pytest
import torch

from bissl_ray.store import read_trials, to_rows
from tests.cli.command import run, start, tiny_space
from tests.data.tiny.voc0712 import write
from tests.sweep.test_interrupted_sweep import wait_for_reports

pytestmark = pytest.mark.ray

FIXED = {
    "backbone": "resnet18",
    "image_size": 32,
    "detection_side": 64,
    "detection_side_low": 48,
    "anchor_low": 16,
    "anchor_high": 32,
    "anchor_batch": 16,
    "proposals": 16,
    "region_batch": 8,
    "region_size": 4,
    "alternations": 2,
    "lower_batch": 8,
    "lower_steps": 1,
    "upper_steps": 1,
    "curvature_batch": 4,
    "upper_batch": 4,
    "head_epochs": 0,
    "finetune_epochs": 1,
    "finetune_batch": 4,
}


def test_a_sweep_of_a_detector_on_two_workers_is_interrupted_and_resumed(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    write(tmp_path / "data", 8, 8, 4)
    torch.manual_seed(0)
    torch.save(resnet18().state_dict(), tmp_path / "ssl.pth")
    protocol = {"trials": 1, "finalists": 1, "finetune_runs": 1, "seeds": 2}
    space = tiny_space(tmp_path, dataset="voc0712", fixed=FIXED, protocol=protocol)
    asked = ("sweep", "--dataset", "voc0712", "--space", space, "--data-dir", "data", "--pretrained", "ssl.pth")
    process = start(*asked, "--name", "shapes", "--workers-per-trial", "2", cwd=tmp_path)
    wait_for_reports(tmp_path / "runs", process, lambda reports: len(reports) >= 1)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 130 and "bissl-ray resume shapes" in out and "Traceback" not in err, (out, err)

    done = run("resume", "shapes", cwd=tmp_path)
    assert done.code == 0, done
    rows = to_rows(read_trials(tmp_path / "runs", "voc0712"))
    assert {row["status"] for row in rows} == {"complete"} and {row["workers"] for row in rows} == {2}
    assert {row["objective_name"] for row in rows} == {"validation_ap50"}
    # Two confirmed runs of either side, each looked at once.
    assert sum(row["test_metric"] is not None for row in rows) == 4
    finetuned = torch.load(
        next((tmp_path / "runs/sweeps/shapes/checkpoints").glob("*/finetuned.pt")), weights_only=True
    )
    assert {"conv1.weight", "layer4.1.bn2.running_var"} <= finetuned["backbone"].keys()
    board = run("leaderboard", cwd=tmp_path)
    assert board.code == 0 and "validation_ap50" in board.out
