"""Every pretext task through pretraining and a whole trial on the digits."""

import math

import pytest

from bissl_ray.pretext import pretext_names
from tests.training.small_trial import Reports, order, run

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
