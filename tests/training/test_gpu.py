"""The same code on a CUDA device."""

import pytest
import torch

from bissl_ray.pretext import pretext_names
from bissl_ray.training.pipeline import run_order
from bissl_ray.training.worker import Worker
from tests.training.small_trial import Reports, order, write_start

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("pretext", pretext_names())
def test_a_trial_on_a_gpu(tmp_path, pretext) -> None:
    write_start(tmp_path)
    what = order(tmp_path, stages=("head", "bissl", "finetune"), pretext=pretext)
    rows = Reports()
    result = run_order(what, Worker(0, 1, torch.device("cuda", 0)), rows)
    assert 0 <= result["objective"] <= 1
    assert result["gpu_seconds"] > 0
    assert all(row["lower_loss"] == row["lower_loss"] for row in rows if row["stage"] == "bissl")
