"""Digits: the splits are what the module says, and no image leaks from one to another."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from bissl_ray.data import DatasetSplits, SplitChoice, get_dataset
from bissl_ray.data.datasets import digits
from bissl_ray.data.spec import Images, Labelled
from tests.data.batches import image_at

DIGITS = get_dataset("digits")


@pytest.fixture(scope="module")
def splits() -> DatasetSplits:
    return DIGITS.open(None)


def pictures(source: Images | Labelled) -> set[bytes]:
    return {image_at(source, i).numpy().tobytes() for i in range(len(source))}


def test_sizes_and_shapes(splits: DatasetSplits) -> None:
    sources = (splits.pretext, splits.train, splits.validation, splits.test)
    assert [len(source) for source in sources] == [900, 100, 300, 597]
    image, label = splits.test[0]
    assert image.shape == (3, 8, 8) and image.dtype == torch.uint8
    assert image.max() == 255 and torch.equal(image[0], image[2])
    assert label == splits.test.targets[0]
    assert splits.classes == 10
    assert splits.class_names == tuple("0123456789")


def test_few_labels_the_same_number_of_each_class(splits: DatasetSplits) -> None:
    assert np.bincount(splits.train.targets).tolist() == [10] * 10
    assert not isinstance(splits.pretext, Labelled)


def test_stratified(splits: DatasetSplits) -> None:
    for source in (splits.validation, splits.test):
        shares = np.bincount(source.targets) / len(source)
        assert np.allclose(shares, 0.1, atol=0.01)


def test_no_image_is_in_two_splits(splits: DatasetSplits) -> None:
    # All 1,797 digits differ as pictures, so that pictures identify them.
    pool, train, validation, test = (
        pictures(source) for source in (splits.pretext, splits.train, splits.validation, splits.test)
    )
    assert len(pool) + len(validation) + len(test) == len(pool | validation | test) == 1797
    assert train < pool


def test_another_seed_draws_another_split_but_keeps_the_test_images(splits: DatasetSplits) -> None:
    again, other = DIGITS.open(None), DIGITS.open(None, SplitChoice(1))
    assert again.fingerprint == splits.fingerprint != other.fingerprint
    assert pictures(other.test) == pictures(splits.test)
    assert pictures(other.validation) != pictures(splits.validation)
    assert pictures(other.train) != pictures(splits.train)


@pytest.mark.parametrize("file", [digits._FILE, ("elsewhere.csv.gz",)])
def test_scans_are_those_of_scikit_learn_wherever_it_keeps_them(
    monkeypatch: pytest.MonkeyPatch, file: tuple[str, ...]
) -> None:
    monkeypatch.setattr(digits, "_FILE", file)
    grey, labels = digits.read_scans()
    expected = load_digits()
    assert np.array_equal(grey, expected.images) and np.array_equal(labels, expected.target)
    assert grey.dtype == labels.dtype == np.int64 and expected.target_names.tolist() == list(range(10))


def test_opening_them_does_not_import_scikit_learn() -> None:
    script = "import sys\nfrom bissl_ray.data import DataChoice, open_data\nopen_data(DataChoice('digits'))\n"
    script += "assert 'sklearn' not in sys.modules and 'pandas' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
