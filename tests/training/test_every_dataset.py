"""A whole trial, from the head to the look at the test split, on every dataset in a folder, in its real layout."""

from pathlib import Path

import pytest

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.data import dataset_names, get_dataset
from tests.data.tiny import WRITERS, write_tiny
from tests.detector import SMALL_DETECTOR
from tests.training.small_trial import Reports, order, renamed, run, settings, write_start

NAMES = [name for name in dataset_names() if not get_dataset(name).embedded]
BATCHES = {"lower_batch": 8, "upper_batch": 8, "finetune_batch": 8}


def test_every_dataset_can_be_written_tiny() -> None:
    assert set(WRITERS) == set(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, "coco-shapes"])
def test_a_trial_from_the_head_to_the_test_split(name: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    if name == "coco-shapes":
        # A part of the data folder that is a dataset of its own.
        write_tiny("coco", root / "shapes")
    else:
        root = write_tiny(name, root)
    storage, metric = tmp_path / "runs", get_dataset(name).metric
    small = settings(**BATCHES, image_size=16, alternations=1, **SMALL_DETECTOR)
    write_start(storage, image_size=16)
    data = DataChoice(dataset=name, data_dir=str(root))
    trial = renamed(order(storage), name).model_copy(update={"data": data, "settings": small})
    reports = Reports()
    tuned = run(trial, reports=reports)
    assert tuned["objective_name"] == f"validation_{metric}" and 0 <= tuned["objective"] <= 1
    assert [row["alternation"] for row in reports if row["stage"] == "bissl"] == [1]
    look = trial.model_copy(update={"stages": ("test",), "start": tuned["checkpoint"]})
    assert 0 <= run(look)["test_metric"] <= 1
