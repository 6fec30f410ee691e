"""Trials draw their images from the node's cache, and come to the same bits as without it."""

from dataclasses import replace

import pytest
import torch

from bissl_ray.data.cache import CachedImages
from bissl_ray.data.sources import ImageFiles
from bissl_ray.training.trial import Trial
from bissl_ray.training.workers import alone
from tests.data.tiny.cars import write_tiny_cars
from tests.training.small_trial import Reports, assert_bit_equal, order, run, saved_models, write_start

pytestmark = pytest.mark.slow

CHANGES = {"image_size": 16, "lower_batch": 8, "upper_batch": 8, "finetune_batch": 8}


@pytest.fixture
def cars(tmp_path, monkeypatch):
    monkeypatch.setenv("BISSL_RAY_CACHE", str(tmp_path / "cache"))
    write_tiny_cars(tmp_path / "data")

    def what(storage: str, **changes):
        write_start(tmp_path / storage, **CHANGES)
        return replace(order(tmp_path / storage, **CHANGES, **changes), dataset="cars", data_dir=str(tmp_path / "data"))

    return what


def test_a_trial_comes_to_the_same_bits_with_and_without_the_cache(cars, tmp_path):
    without, with_it = cars("without", cache_gib=0), cars("with")
    assert run(without) == run(with_it)
    assert_bit_equal(saved_models(with_it), saved_models(without))
    assert len(list((tmp_path / "cache" / "decoded").glob("*.images"))) == 1


def test_settings_say_what_is_held_and_reduced(cars):
    def splits(**changes):
        return Trial(cars("any", **changes), alone(torch.device("cpu")), Reports()).splits

    assert isinstance(splits().train, CachedImages)
    assert isinstance(splits(cache_gib=0).train, ImageFiles)
    reduced = splits(cache_side=8)
    assert isinstance(reduced.train, CachedImages) and min(reduced.test[0][0].size) == 8
    assert reduced.fingerprint != splits().fingerprint
