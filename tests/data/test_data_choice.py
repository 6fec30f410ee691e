"""The pretext may see another dataset's images than the downstream task."""

import pytest

from bissl_ray.data import DataChoice
from bissl_ray.data.spec import UNLABELLED
from bissl_ray.errors import BadInputError
from tests.data.tiny import write_tiny


def test_the_pretext_sees_another_datasets_pool_and_nothing_else_changes(tmp_path):
    data = str(write_tiny("cars", tmp_path))
    own, other = DataChoice("digits").open(), DataChoice("digits", data_dir=data, pretext_dataset="cars")
    splits = other.open()
    assert splits.pretext.name(0).endswith(".jpg")
    assert set(splits.pretext.labels) == {UNLABELLED}
    assert splits.train.labels == own.train.labels and splits.classes == own.classes
    assert splits.fingerprint != own.fingerprint
    assert (other.spec.name, other.pretext_spec.name) == ("digits", "cars")
    elsewhere = DataChoice("digits", pretext_dataset="cars", pretext_data_dir=data).open()
    assert elsewhere.fingerprint == splits.fingerprint
    assert DataChoice("digits", pretext_dataset="digits").open().fingerprint == own.fingerprint


def test_the_pretexts_dataset_must_be_known_and_there(tmp_path):
    with pytest.raises(BadInputError, match="no dataset is called 'car'"):
        DataChoice("digits", pretext_dataset="car").open()
    with pytest.raises(BadInputError, match="needs a data folder"):
        DataChoice("digits", pretext_dataset="cars").open()
