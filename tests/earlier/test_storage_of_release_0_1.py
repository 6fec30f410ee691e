"""A storage that a release before versioned documents wrote still opens: boards, trials, exports, stages, resuming.

release-0.1-storage.tar.xz holds, of digits at 8 pixels: a finished sweep (done), one whose process was killed in the
middle of its first trial (cut), a finished comparison (cmp), and a fine-tuning by itself (fine).
"""

import json
from pathlib import Path

import pytest
import torch

from bissl_ray.config import Settings
from bissl_ray.models import build_backbone
from bissl_ray.store import read_reports, read_trials, to_rows
from bissl_ray.store.documents import read_stage_document, read_sweep_document
from tests.cli.command import run, run_here
from tests.earlier.storage import unpack_release_0_1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    unpack_release_0_1(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_documents_come_in_todays_shape(folder: Path) -> None:
    written = json.loads((folder / "runs/sweeps/done/sweep.json").read_text())
    sweep = read_sweep_document("runs", "done")
    assert "version" not in written and written["request"]["dataset"] == "digits"
    assert (sweep.request.data.dataset, sweep.request.pretrained, sweep.version) == ("digits", None, 3)
    assert sweep.request.space.protocol.trials == written["request"]["space"]["protocol"]["trials"]
    assert (sweep.fingerprint, sweep.start) == (written["fingerprint"], written["start"])
    stage = read_stage_document("runs", "fine")
    old = json.loads((folder / "runs/stages/fine/stage.json").read_text())
    assert stage is not None and stage.status == "complete" and stage.result == old["result"]
    # Images were not turned: an interrupted run goes on as it began.
    turned = {"exif_orientation": {"value": False, "from": "default"}}
    later = stage.settings_with_origins()
    defaults = {name: {"value": field.default, "from": "default"} for name, field in Settings.model_fields.items()}
    assert later == {**{name: defaults[name] for name in later}, **old["settings"], **turned}
    assert sweep.request.space.settings({}).exif_orientation is False
    assert stage.request.start is not None and stage.request.start.file.endswith("aligned.pt")


def test_its_trials_are_shown(folder: Path, monkeypatch, capsys) -> None:
    board = run_here(monkeypatch, capsys, "leaderboard", "--format", "json")
    assert board.code == 0
    shown = json.loads(board.out)
    assert {row["sweep"] for row in shown["rows"]} == {"done", "cut", "cmp-digits-1ep"}
    assert any(row["standing"] == "confirmed" and row["sweep"] == "done" for row in shown["rows"])
    trial = run_here(monkeypatch, capsys, "show", "t000", "--sweep", "done")
    assert trial.code == 0 and "lower_lr" in trial.out and "alternation" in trial.out


def test_its_winner_is_exported(folder: Path, monkeypatch, capsys) -> None:
    done = run_here(monkeypatch, capsys, "export", "--sweep", "done", "--out", "winner.pth")
    assert done.code == 0, done.err
    backbone = build_backbone("smallconv")
    content = torch.load("winner.pth", weights_only=True)
    assert set(backbone.state_dict()) <= set(content.get("state_dict", content))


def test_what_has_finished_is_not_run_again(folder: Path, monkeypatch, capsys) -> None:
    resumed = run_here(monkeypatch, capsys, "resume", "done")
    assert resumed.code == 0 and "confirmed" in resumed.out
    compared = run_here(monkeypatch, capsys, "compare", "--name", "cmp")
    assert compared.code == 0 and "on digits" in " ".join(compared.out.split())


@pytest.mark.ray
def test_a_sweep_that_was_killed_goes_on(folder: Path) -> None:
    before = {row["trial"]: row for row in to_rows(read_trials("runs", "digits", "cut"))}
    assert {row["status"] for row in before.values()} == {"running"}
    done = run("resume", "cut", cwd=folder)
    assert done.code == 0, done.err
    rows = {row["trial"]: row for row in to_rows(read_trials("runs", "digits", "cut"))}
    # Some end themselves early: at so few pixels solves may stay unsolved.
    assert {row["status"] for row in rows.values()} <= {"complete", "pruned"} and before.keys() < rows.keys()
    assert json.loads((folder / "runs/sweeps/cut/sweep.json").read_text())["version"] == 3
    # It went on from its own checkpoint: the first alternations were not run again.
    reports = to_rows(read_reports("runs", "digits", "cut"))
    first = [row["alternation"] for row in reports if row["trial"] == "t000" and row["stage"] == "bissl"]
    assert min(first) > 1 and max(first) == 60
