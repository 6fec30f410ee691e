"""A row holds the settings that its workers ran: where BiSSL's labelled budget is searched, the control's differ."""

import os
from pathlib import Path

import pytest
import torch
import yaml

from bissl_ray.config.columns import settings_of_row
from bissl_ray.store import read_trials, to_rows
from bissl_ray.training.order import Order
from bissl_ray.words import Phase, Step
from tests.cli.command import TINY, checkpoint, run

pytestmark = pytest.mark.ray

SEARCHED = {
    "alternations": {"type": "int", "low": 1, "high": 3},
    "upper_steps": {"type": "int", "low": 1, "high": 3},
    "upper_batch": {"type": "int", "low": 10, "high": 30},
}


def test_every_row_is_what_its_workers_ran(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    fixed = {name: value for name, value in TINY["fixed"].items() if name not in SEARCHED}
    protocol = {**TINY["protocol"], "trials": 4, "finetune_runs": 1, "early_stopping": False}
    content = {**TINY, "parameters": SEARCHED, "fixed": fixed, "known_good": [], "protocol": protocol}
    space.write_text(yaml.safe_dump(content))
    spied = tmp_path / "spied"
    spied.mkdir()
    path = os.pathsep.join([str(Path(__file__).with_name("spy")), str(Path(__file__).parents[2])])
    arguments = ("sweep", "--space", space, "--name", "rows", "--pretrained", checkpoint(tmp_path))
    done = run(*arguments, cwd=tmp_path, PYTHONPATH=path, BISSL_SPY=str(spied))
    assert done.code == 0, done
    rows = {row["trial"]: row for row in to_rows(read_trials(tmp_path / "runs", "digits", "rows"))}
    assert {(row["phase"], row["step"]) for row in rows.values()} == {
        (Phase.EXPLORE, Step.SEARCH),
        *((phase, step) for phase in (Phase.CONFIRM, Phase.CONTROL) for step in (Step.TUNING, Step.SEEDS)),
    }
    ran = [Order.model_validate_json(file.read_text()) for file in spied.glob("*.json")]
    assert {order.trial for order in ran} == set(rows)
    for order in ran:
        assert settings_of_row(rows[order.trial]) == order.settings.model_dump(), order.trial
    saved = 0
    for trial, row in rows.items():
        for file in (tmp_path / "runs/sweeps/rows/checkpoints" / trial).glob("*ed.pt"):
            metadata = torch.load(file, weights_only=True)["metadata"]
            assert metadata["settings"] == settings_of_row(row), file
            saved += 1
    assert saved >= 3 + 2 * 2 * 2
    budgets = {tuple(row[f"param_{name}"] for name in SEARCHED) for row in rows.values() if row["phase"] == "control"}
    assert budgets == {(3, 3, 30)}, "the control has the largest budget that there may be, and its rows say so"
