"""Every pretext task through pretraining and a whole trial on the digits."""

import math

import pytest
import torch

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.data.nested import stacked
from bissl_ray.data.transforms import pretext_transform
from bissl_ray.pretext import SimCLR, pretext_names
from bissl_ray.training.data import TrialData
from bissl_ray.training.worker import alone
from tests.training.small_trial import Reports, order, run, settings

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("curvature", ["hessian", "gauss_newton"])
@pytest.mark.parametrize("pretext", pretext_names())
def test_a_trial_from_its_own_pretraining(tmp_path, pretext, curvature):
    changes = {"pretext": pretext, "curvature": curvature, "pretrain_epochs": 4, "pretrain_batch": 100}
    epochs = Reports()
    run(order(tmp_path, ("pretrain",), **changes), reports=epochs)
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]
    rows = Reports()
    result = run(order(tmp_path, ("head", "bissl", "finetune"), **changes), reports=rows)
    assert result["alternations"] == 2 and result["hvps"] > 0
    of_bissl = [row for row in rows if row["stage"] == "bissl"]
    assert all(math.isfinite(row["lower_loss"]) and row["embedding_rank"] > 1.5 for row in of_bissl)
    assert curvature == "hessian" or all(row["negative_curvature"] == 0 for row in of_bissl)


def test_a_pretext_task_makes_its_own_samples_and_batches(tmp_path, monkeypatch):
    seen = []

    def views(cls, spec, image_size):
        seen.append((cls, spec.name, image_size))
        return pretext_transform(spec, image_size + 8)

    monkeypatch.setattr(SimCLR, "views", classmethod(views))
    monkeypatch.setattr(SimCLR, "collate", classmethod(lambda cls, samples: stacked(samples)[::-1]))
    data = TrialData(DataChoice("digits"), settings(), 1, alone(torch.device("cpu")), lambda event: None)
    with data.pretext_batches("bissl", 4, 0) as batches:
        first, second = next(batches)
    monkeypatch.undo()
    data = TrialData(DataChoice("digits"), settings(image_size=16), 1, alone(torch.device("cpu")), lambda event: None)
    with data.pretext_batches("bissl", 4, 0) as batches:
        assert all(map(torch.equal, next(batches), (second, first)))
    assert seen == [(SimCLR, "digits", 8)] and first.shape == (4, 3, 16, 16)
