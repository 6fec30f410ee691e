"""VOC 2007 in its real layout: the mAP of a trial against one counted from the annotations, on 1, 2 and 4 workers."""

from xml.etree import ElementTree

import pytest
import torch

from bissl_ray.data.files.voc import CLASSES
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import Worker
from tests.data.tiny.voc07 import write_tiny_voc07
from tests.downstream.test_average_precision import eleven_points_by_hand
from tests.processes import run_workers
from tests.training.small_trial import Reports, changed, order, run, write_start

pytestmark = pytest.mark.slow

CHANGES = {"image_size": 16, "lower_batch": 8, "upper_batch": 8, "finetune_batch": 8}


def voc07(folder):
    return changed(order(folder, **CHANGES), dataset="voc07", data_dir=str(folder / "data"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("voc07")
    write_start(root, **CHANGES)
    write_tiny_voc07(root / "data", test=17)
    return root


def shown_in(folder):
    """For each test image, class by class: whether an object is annotated; None where all such are difficult."""
    devkit = folder / "data" / "VOCdevkit" / "VOC2007"
    found = []
    for name in (devkit / "ImageSets" / "Main" / "test.txt").read_text().split():
        objects: dict[str, list[bool]] = {}
        for annotated in ElementTree.parse(devkit / "Annotations" / f"{name}.xml").iter("object"):
            objects.setdefault(annotated.findtext("name"), []).append(annotated.findtext("difficult") == "1")
        found.append([c in objects and (None if all(objects[c]) else True) for c in CLASSES])
    return found


def scored(rank, workers, folder):
    """The metrics of a fresh head on the test split, and the scores of this worker's share of it."""
    trial = Trial(voc07(folder), Worker(rank, workers, torch.device("cpu")), Reports())
    trial.begin()
    metrics = trial.metrics("lower", "test")
    trial.models.lower.eval()
    with torch.no_grad():
        scores = [
            score
            for images, _ in trial.evaluation("test")
            for score in trial.models.downstream(trial.models.lower(images))
        ]
    trial.data.close()
    return metrics, [score.tolist() for score in scores]


def test_the_map_is_that_of_the_annotations_for_any_number_of_workers(folder):
    metrics, scores = scored(0, 1, folder)
    expected = []
    for number in range(len(CLASSES)):
        pairs = [(row[number], shown[number]) for row, shown in zip(scores, shown_in(folder), strict=True)]
        counted = [(score, bool(shown)) for score, shown in pairs if shown is not None]
        if any(shown for _, shown in counted):
            expected.append(eleven_points_by_hand(*zip(*counted, strict=True)))
    assert len(scores) == 17 and len(expected) == len(CLASSES)
    assert metrics["map11"] == pytest.approx(sum(expected) / len(expected), rel=1e-12)
    for workers in (2, 4):
        seen = run_workers(scored, workers, folder)
        assert [len(own) for _, own in seen] == ([8, 9] if workers == 2 else [4, 4, 4, 5])
        for found, _ in seen:
            assert found == pytest.approx(metrics, rel=1e-6)


def test_a_trial_runs_on_it_from_head_to_test(folder):
    rows = Reports()
    result = run(voc07(folder), reports=rows)
    assert [row["stage"] for row in rows][:2] == ["bissl", "bissl"]
    assert result["objective_name"] == "validation_map11" and 0 < result["objective"] <= 1
    tested = run(changed(voc07(folder), stages=("test",), start=result["checkpoint"]))
    assert 0 < tested["test_metric"] <= 1
