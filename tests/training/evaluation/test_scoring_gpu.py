"""Figures of a model and of its frozen backbone are the same on a CUDA device."""

import pytest
import torch

from bissl_ray.data.datasets import registry
from bissl_ray.training.evaluation.scoring import evaluate_frozen
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import Worker
from tests.gpu import DEVICE, needs_gpu
from tests.training import several_labels
from tests.training.small_trial import Reports, changed, order, write_start

pytestmark = needs_gpu


@pytest.mark.parametrize("dataset", ["digits", "attributes"])
def test_a_gpu_finds_what_the_cpu_does(tmp_path, monkeypatch, dataset) -> None:
    monkeypatch.setitem(registry.DATASETS, "attributes", several_labels.SPEC)
    write_start(tmp_path)
    found = []
    for device in ("cpu", DEVICE):
        what = changed(order(tmp_path, stages=("head",), precision="float32"), dataset=dataset)
        trial = Trial(what, Worker(0, 1, torch.device(device)), Reports())
        trial.begin()
        found.append({"model": trial.metrics("lower"), **evaluate_frozen(trial)})
        trial.data.close()
    for name, figures in found[0].items():
        assert found[1][name] == pytest.approx(figures, abs=0.01)
