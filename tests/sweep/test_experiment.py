"""Tune's own snapshot of its state, which nobody reads: a sweep ends without it as with it."""

import pytest
from ray import tune

from bissl_ray.sweep.experiment import _no_snapshot_needed


def test_a_snapshot_that_could_not_be_stored_is_not_missed(tmp_path):
    with pytest.raises(ValueError, match="No experiment snapshot file"):
        tune.ExperimentAnalysis(str(tmp_path))
    over = False
    with _no_snapshot_needed():
        tune.ExperimentAnalysis(str(tmp_path))
        over = True
    assert not over, "Tune found one"


def test_whatever_else_is_wrong_is_said():
    with pytest.raises(ValueError, match="else"), _no_snapshot_needed():
        raise ValueError("something else")
