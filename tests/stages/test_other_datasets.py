"""The stages on data that lie in a folder: one label an image, and several."""

from pathlib import Path

import pytest

from bissl_ray.config.options import StageOptions
from bissl_ray.stages.prepare import prepare_stage
from bissl_ray.stages.run import run_stage
from tests.cli.command import TINY
from tests.data.tiny import WRITERS
from tests.stages.stage_runs import Seen, file

BATCHES = dict.fromkeys(("pretrain_batch", "lower_batch", "upper_batch", "finetune_batch"), 8)
SMALL = [f"{name}={value}" for name, value in {**TINY["fixed"], **BATCHES, "alternations": 1}.items()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "metrics"),
    [
        ("cars", {"top1", "mean_per_class", "loss"}),
        ("pets", {"top1", "mean_per_class", "loss"}),
        ("voc07", {"map11", "map", "loss"}),
        ("voc0712", {"ap", "ap50", "ap75", "voc07_ap50", "voc12_ap50"}),
        ("coco", {"ap", "ap50", "ap75"}),
    ],
)
def test_from_pretraining_to_evaluation(tmp_path: Path, dataset: str, metrics: set[str]) -> None:
    WRITERS[dataset](tmp_path / "data")
    data = {"dataset": dataset, "data_dir": str(tmp_path / "data"), "storage": str(tmp_path / "runs")}

    def stage(name, start=None, **what):
        settings = {} if name == "evaluate" else {"assignments": SMALL}
        request, _ = prepare_stage(name, StageOptions(**data, name=name, start=start, **settings), **what)
        return run_stage(request, data["storage"], None, Seen()).result

    stage("pretrain")
    stage("train", file(tmp_path, "pretrain"))
    tuned = stage("finetune", file(tmp_path, "train"))
    scores = stage("evaluate", file(tmp_path, "finetune"), ways=("score",))["metrics"]["model"]
    assert metrics <= set(scores)
    assert scores[tuned["objective_name"].removeprefix("validation_")] == tuned["objective"]
