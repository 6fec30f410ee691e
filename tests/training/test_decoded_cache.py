"""Trials draw their images from the node's cache, and come to the same bits as without it."""

import pytest
import torch

from bissl_ray.config.data_choice import Decoding
from bissl_ray.data.cache.images import CachedImages
from bissl_ray.data.files.sources import ImageFiles
from bissl_ray.preflight.data import inspect_data
from bissl_ray.progress import LocalSender
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import Worker, alone
from bissl_ray.workers.launch import run_here
from tests.data.tiny.cars import write_tiny_cars
from tests.training.small_trial import Reports, assert_bit_equal, changed, order, run, saved_models, write_start
from tests.views import Seen

pytestmark = pytest.mark.slow

CHANGES = {"image_size": 16, "lower_batch": 8, "upper_batch": 8, "finetune_batch": 8}


@pytest.fixture
def cars(tmp_path, monkeypatch):
    monkeypatch.setenv("BISSL_RAY_CACHE", str(tmp_path / "cache"))
    write_tiny_cars(tmp_path / "data")

    def what(storage: str, **changes):
        write_start(tmp_path / storage, **CHANGES)
        return changed(order(tmp_path / storage, **CHANGES, **changes), dataset="cars", data_dir=str(tmp_path / "data"))

    return what


def test_a_trial_comes_to_the_same_bits_with_and_without_the_cache(cars, tmp_path):
    without, with_it = cars("without", cache_gib=0), cars("with")
    assert run(without) == run(with_it)
    assert_bit_equal(saved_models(with_it), saved_models(without))
    assert len(list((tmp_path / "cache" / "decoded").glob("*.images"))) == 1


def test_settings_say_what_is_held_and_reduced(cars):
    def splits(**changes):
        return Trial(cars("any", **changes), alone(torch.device("cpu")), Reports()).data.splits

    assert isinstance(splits().train.images, CachedImages)
    assert isinstance(splits(cache_gib=0).train.images, ImageFiles)
    reduced = splits(cache_side=8)
    assert isinstance(reduced.train.images, CachedImages) and min(reduced.test[0][0].size) == 8
    assert reduced.fingerprint != splits().fingerprint
    facts = inspect_data(cars("any").data, Decoding(8))
    assert (facts.fingerprint, facts.labelled_fingerprint) == (reduced.fingerprint, splits().labelled_fingerprint)


def test_who_follows_a_run_hears_how_far_decoding_is(cars):
    heard = Seen()
    # What fits: some of the 24 images.
    assert run_here(cars("some", cache_gib=40_000 / 2**30), heard, lambda: False).result is not None
    first, *_, last = heard.decoded
    assert first.done == 0 and last.done == last.total == first.total < 24
    (note,) = heard.notes
    assert f"has room for {first.total} of 24 decoded images" in note


def test_a_wish_to_stop_is_heard_while_images_are_decoded(cars, tmp_path):
    heard = Seen()
    assert run_here(cars("stopped"), heard, lambda: bool(heard.decoded)).result is None
    assert len(heard.decoded) == 1 and not heard.steps and not heard.rows
    assert not list((tmp_path / "cache" / "decoded").glob("*.part"))


def test_of_several_workers_the_chief_alone_says_it(cars):
    heard = Seen()
    Trial(cars("others"), Worker(1, 2, torch.device("cpu")), LocalSender(heard))
    assert not heard.decoded and not heard.notes
