"""Two datasets in one command run on the same groups of workers, and come to what each comes to alone."""

import os
from pathlib import Path

import pytest

from bissl_ray.store import read_trials, to_rows
from bissl_ray.store.paths import sweep_names
from tests.cli.command import checkpoint, run, tiny_space
from tests.data.tiny import write_tiny

pytestmark = pytest.mark.ray

FOUND = ("status", "objective", "test_metric", "param_lower_lr", "param_upper_lr", "seed")


def _found(storage: Path, dataset: str) -> dict[str, tuple[object, ...]]:
    rows = to_rows(read_trials(storage, dataset))
    return {row["trial"]: tuple(row.get(name) for name in FOUND) for row in rows}


def test_they_share_groups_and_come_to_the_same(tmp_path: Path) -> None:
    write_tiny("cars", tmp_path / "data")
    # Random proposals don't depend on which trial ends first, nor does any trial end early.
    protocol = {"trials": 3, "finalists": 1, "finetune_runs": 1, "sampler": "random", "early_stopping": False}
    space = tiny_space(tmp_path, protocol=protocol, fixed={"alternations": 2, "lower_batch": 8, "finetune_batch": 8})
    spied = tmp_path / "spied"
    spied.mkdir()
    path = os.pathsep.join([str(Path(__file__).with_name("spy")), str(Path(__file__).parents[2])])
    both = ("--space", space, "--data-dir", "data", "--pretrained", checkpoint(tmp_path), "--max-groups", "2")
    asked = ("sweep", "--dataset", "digits", "--dataset", "cars", *both)
    done = run(*asked, "--storage", "together", cwd=tmp_path, PYTHONPATH=path, BISSL_SPY=str(spied))
    assert done.code == 0, done
    assert " 1 of cars-" in done.out, "no trial of the second filled what the first left"
    first, second = sorted(sweep_names(str(tmp_path / "together")), key=lambda name: not name.startswith("digits"))
    processes = {name: {file.name.split(".")[-2] for file in spied.glob(f"{name}.*.json")} for name in (first, second)}
    assert processes[second] <= processes[first] and len(processes[first]) == 2, processes

    alone = run("sweep", "--dataset", "cars", *both, "--storage", "alone", cwd=tmp_path)
    assert alone.code == 0, alone
    assert _found(tmp_path / "together", "cars") == _found(tmp_path / "alone", "cars")
