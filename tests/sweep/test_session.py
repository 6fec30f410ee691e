"""What a sweep starts from: pretrained by how many workers, or read from a file that is not ours."""

import pytest
import torch

from bissl_ray.config import load_search_space
from bissl_ray.config.requests import SweepRequest
from bissl_ray.models import build_backbone
from bissl_ray.preflight.sweeps import fitting_models
from bissl_ray.sweep.session import pretraining_workers


@pytest.mark.parametrize(
    ("batch", "places", "workers"),
    [(128, 1, 1), (128, 2, 2), (128, 3, 2), (128, 64, 4), (1024, 6, 4), (1024, 64, 32), (7, 4, 1)],
)
def test_pretraining_takes_the_workers_that_it_is_worth(batch, places, workers):
    assert pretraining_workers(batch, places) == workers


def test_a_file_from_before_counters_fits(tmp_path):
    state = build_backbone("smallconv").state_dict()
    torch.save({k: v for k, v in state.items() if "num_batches" not in k}, tmp_path / "old.pth")
    request = SweepRequest(
        name="s", dataset="digits", pretrained=str(tmp_path / "old.pth"), space=load_search_space("digits")
    )
    read = fitting_models(request)
    assert "20 of its 20 tensors match, 0 missing" in read.facts.notes[0]
    assert "no pretext head" in read.facts.notes[-1]
    found = read.models.content()["backbone"]
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)
