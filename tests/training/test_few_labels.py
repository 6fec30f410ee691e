"""Trials with few labels: what they say of themselves, and that pretraining is the same for any number of them."""

from pathlib import Path

import pytest
import torch

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.data import open_data
from bissl_ray.training.files import read_tensors
from tests.training.small_trial import (
    CPU,
    START,
    Reports,
    assert_bit_equal,
    changed,
    order,
    run,
    tensors_of,
    write_start,
)


def test_a_whole_trial_with_one_label_per_class(tmp_path: Path) -> None:
    write_start(tmp_path)
    few = changed(order(tmp_path), labels_per_class=1, unlabelled_images=300)
    reports = Reports()
    result = run(few, reports=reports)
    assert 0 < result["objective"] <= 1 and reports
    splits = open_data(DataChoice("digits", labels_per_class=1, unlabelled_images=300))
    for name in ("aligned", "finetuned"):
        content = read_tensors(few.storage, f"{few.folder}/{name}.pt")
        assert content is not None
        metadata = content["metadata"]
        assert (metadata["labels_per_class"], metadata["unlabelled_images"]) == (1, 300)
        assert metadata["fingerprint"] == splits.fingerprint
        assert metadata["labelled_fingerprint"] == splits.labelled_fingerprint
        assert metadata["split_fingerprint"] == open_data(DataChoice("digits")).labelled_fingerprint


@pytest.mark.slow
def test_pretraining_does_not_depend_on_labels(tmp_path: Path) -> None:
    models = []
    for number in (None, 1, 20):
        pretraining = changed(order(tmp_path / str(number), ("pretrain",)), labels_per_class=number)
        run(pretraining)
        content = read_tensors(pretraining.storage, START)
        assert content is not None
        models.append(tensors_of(content))
    for other in models[1:]:
        assert_bit_equal(other, models[0])
    assert all(tensor.device == CPU for tensor in models[0].values() if isinstance(tensor, torch.Tensor))
