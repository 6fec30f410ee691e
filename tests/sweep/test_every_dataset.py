"""Whole sweeps through the command line on datasets in one data folder: one of each metric and of each way to read.

A trial on every dataset, without Ray, is in tests/training/test_every_dataset.py.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bissl_ray.data import get_dataset
from bissl_ray.store import read_trials, to_rows
from tests.cli.command import checkpoint, run, tiny_space
from tests.conftest import RunningCluster, running_cluster
from tests.data.tiny import write_tiny

pytestmark = pytest.mark.ray
SHARING = ["flowers", "svhn", "voc07", "coco-shapes"]
"""Those of one data folder: files of images with a mean over classes, images in memory, several labels, boxes."""
COMMANDS = [SHARING, ["folder"]]


@pytest.fixture(scope="module")
def one_cpu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    # Two trials after each other: a worker group takes longer to start than these take to run.
    with running_cluster(tmp_path_factory.mktemp("cluster"), cpus=1) as running:
        yield running


# Not a command for each dataset: most of the time of a sweep as small as these is the start of processes.
@pytest.mark.parametrize("names", COMMANDS, ids="-".join)
def test_two_trials_on_each(names: list[str], one_cpu: RunningCluster, tmp_path: Path) -> None:
    for name in names:
        # Where one folder is given for several datasets, each finds its own part of it.
        if name == "coco-shapes":
            write_tiny("coco", tmp_path / "data" / "shapes")
        else:
            write_tiny(name, tmp_path / "data")
    space = tiny_space(
        tmp_path,
        fixed={"alternations": 1, "lower_batch": 8, "upper_batch": 8, "finetune_epochs": 1, "finetune_batch": 8},
        protocol={"trials": 2, "finalists": 1, "finetune_runs": 1},
    )
    done = run(
        *("sweep", *(word for name in names for word in ("--dataset", name)), "--space", space),
        *("--data-dir", "data", "--pretrained", checkpoint(tmp_path), "--address", one_cpu.address),
        cwd=tmp_path,
        **one_cpu.token,
    )
    assert done.code == 0, done
    for name in names:
        rows = to_rows(read_trials(tmp_path / "runs", name))
        assert {row["status"] for row in rows} == {"complete"}, name
        assert {row["objective_name"] for row in rows} == {f"validation_{get_dataset(name).metric}"}
        tested = [row["test_metric"] for row in rows if row["test_metric"] is not None]
        assert len(tested) == 4 and all(0 <= metric <= 1 for metric in tested), name
