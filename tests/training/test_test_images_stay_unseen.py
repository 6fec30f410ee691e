"""Exploring and confirming run through on a dataset whose test images can't be read; only the test stage needs them."""

from dataclasses import replace

import pytest

from bissl_ray.data.datasets import folder, registry
from bissl_ray.data.files.sources import ImageFiles
from tests.data.tiny.folders import write_tiny_folder
from tests.training.small_trial import changed, order, run, write_start

CHANGES = {"image_size": 16, "lower_batch": 8, "upper_batch": 8, "finetune_batch": 8}


class _Forbidden(ImageFiles):
    def __getitem__(self, index):
        raise AssertionError("a test image was read")

    def decoded(self, decoding):
        return self


def _read_forbidden(data_dir, choice):
    splits = folder.SPEC.reader(data_dir, choice)
    files = splits.test.images
    return replace(splits, test=replace(splits.test, images=_Forbidden(files.folder, files.names)))


def test_only_the_test_stage_needs_test_images(tmp_path, monkeypatch):
    monkeypatch.setitem(registry.DATASETS, "guarded", replace(folder.SPEC, name="guarded", reader=_read_forbidden))
    write_start(tmp_path, **CHANGES)
    data = write_tiny_folder(tmp_path / "data")
    what = changed(order(tmp_path, **CHANGES), dataset="guarded", data_dir=str(data))
    explored = run(changed(what, trial="explored", stages=("head", "bissl")))
    assert 0 <= explored["objective"] <= 1
    confirmed = changed(what, trial="confirmed", stages=("finetune",), start=explored["checkpoint"])
    assert 0 <= run(confirmed)["objective"] <= 1
    assert 0 <= run(changed(what, trial="control", stages=("head", "finetune")))["objective"] <= 1
    with pytest.raises(AssertionError, match="a test image was read"):
        run(changed(confirmed, trial="winner", stages=("test",)))
