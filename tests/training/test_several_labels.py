"""The whole pipeline on images that show several classes: one worker, two, and the test split."""

import pytest
import torch
from sklearn.metrics import average_precision_score

from bissl_ray.data.datasets import registry
from bissl_ray.training.order import Order
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import Worker, alone
from tests.processes import run_workers
from tests.training.several_labels import SPEC
from tests.training.small_trial import Reports, changed, order, run, write_start

pytestmark = pytest.mark.slow

# float32 rounding through all stages.
TOLERANCE = 1e-4


def attributes(storage, trial, **changes) -> Order:
    return changed(
        order(storage, finetune_epochs=4, head_epochs=4, head_lr=0.5, **changes), dataset="attributes", trial=trial
    )


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(registry.DATASETS, "attributes", SPEC)


def run_all_stages(rank, workers, storage):
    registry.DATASETS["attributes"] = SPEC
    worker = Worker(rank, workers, torch.device("cpu"))
    rows = Reports()
    result = run(attributes(storage, f"of-{workers}"), worker, rows)
    worker.agree(None)  # the chief has written its file
    tested = run(changed(attributes(storage, f"of-{workers}"), stages=("test",), start=result["checkpoint"]), worker)
    return result, list(rows), tested["test_metric"]


def test_a_trial_learns_and_is_scored_by_its_own_metric_alike_on_two_workers(tmp_path):
    write_start(tmp_path)
    result, rows, tested = run_all_stages(0, 1, tmp_path)
    assert {row["objective_name"] for row in rows} == {result["objective_name"]} == {"validation_map11"}
    assert [row["stage"] for row in rows][:3] == ["bissl", "bissl", "finetune"]
    assert rows[-1]["train_loss"] < rows[2]["train_loss"]
    # What a model that knows nothing would score is the share of images that show a class: 0.36 over the four.
    assert 0.5 < tested < 1 and 0.5 < result["objective"] < 1
    for found, reports, score in run_workers(run_all_stages, 2, tmp_path):
        assert found["objective_name"] == "validation_map11"
        assert score == pytest.approx(tested, abs=0.01)
        for ours, theirs in zip(reports, rows, strict=True):
            for loss in ("upper_loss", "lower_loss", "train_loss"):
                if loss in theirs:
                    assert ours[loss] == pytest.approx(theirs[loss], rel=TOLERANCE)


def test_metrics_of_a_trial_are_scikit_learns_over_the_whole_split(tmp_path):
    write_start(tmp_path)
    trial = Trial(attributes(tmp_path, "metrics"), alone(torch.device("cpu")), Reports())
    trial.begin()
    found = trial.metrics("lower", "test")
    trial.models.lower.eval()
    with torch.no_grad():
        pairs = [(trial.models.downstream(trial.models.lower(x)), y) for x, y in trial.evaluation("test")]
    trial.data.close()
    scores, labels = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    expected = [
        average_precision_score((labels[rows, c] == 1).numpy(), scores[rows, c].numpy())
        for c, rows in enumerate((labels >= 0).T)
    ]
    assert list(found) == ["map11", "map", "loss"] and len(scores) == 597
    assert found["map"] == pytest.approx(sum(expected) / 4, rel=1e-9)
