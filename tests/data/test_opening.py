"""The pretext may see another dataset's images than the downstream task."""

import pytest

from bissl_ray.data import DataChoice, open_data
from bissl_ray.data.spec import Labelled
from bissl_ray.errors import BadInputError
from tests.data.tiny import write_tiny
from tests.data.tiny.folders import write_tiny_folder


def test_the_pretext_sees_another_datasets_pool_and_nothing_else_changes(tmp_path):
    data = str(write_tiny("cars", tmp_path))
    own, other = open_data(DataChoice("digits")), DataChoice("digits", data_dir=data, pretext_dataset="cars")
    splits = open_data(other)
    assert splits.pretext.name(0).endswith(".jpg")
    assert not isinstance(splits.pretext, Labelled)
    assert splits.train.targets == own.train.targets and splits.classes == own.classes
    assert splits.fingerprint != own.fingerprint
    assert (other.dataset, other.pretext) == ("digits", "cars")
    elsewhere = open_data(DataChoice("digits", pretext_dataset="cars", pretext_data_dir=data))
    assert elsewhere.fingerprint == splits.fingerprint
    assert open_data(DataChoice("digits", pretext_dataset="digits")).fingerprint == own.fingerprint


def test_the_datasets_own_name_is_its_own_pool_and_never_another_folder(tmp_path):
    write_tiny_folder(tmp_path / "a", unlabelled=0)
    write_tiny_folder(tmp_path / "b")
    here, own = str(tmp_path / "a"), open_data(DataChoice("folder", data_dir=str(tmp_path / "a")))
    for again in (None, here, f"{tmp_path}/b/../a"):
        splits = open_data(DataChoice("folder", data_dir=here, pretext_dataset="folder", pretext_data_dir=again))
        assert (splits.fingerprint, len(splits.pretext)) == (own.fingerprint, 24)
    with pytest.raises(BadInputError, match=r"may hold its test images; .*--dataset folder-a") as caught:
        open_data(DataChoice("folder", data_dir=here, pretext_dataset="folder", pretext_data_dir=str(tmp_path / "b")))
    assert "\n" not in str(caught.value)
    apart = open_data(
        DataChoice("folder-a", data_dir=here, pretext_dataset="folder-b", pretext_data_dir=str(tmp_path / "b"))
    )
    assert len(apart.pretext) == 6 + 24


def test_two_names_of_one_folder_share_no_held_out_image(tmp_path):
    data = str(write_tiny_folder(tmp_path / "data"))
    with pytest.raises(BadInputError, match=r"is a validation or test image of folder-a"):
        open_data(DataChoice("folder-a", data_dir=data, pretext_dataset="folder-b"))
    (tmp_path / "link").symlink_to(data)
    with pytest.raises(BadInputError, match=r"is a validation or test image of folder-a"):
        open_data(
            DataChoice("folder-a", data_dir=data, pretext_dataset="folder-b", pretext_data_dir=str(tmp_path / "link"))
        )


def test_the_labelled_fingerprint_leaves_the_pretext_out(tmp_path):
    data = str(write_tiny("cars", tmp_path))
    own, other = open_data(DataChoice("digits")), open_data(DataChoice("digits", data_dir=data, pretext_dataset="cars"))
    assert other.fingerprint != own.fingerprint and other.labelled_fingerprint == own.labelled_fingerprint
    assert open_data(DataChoice("digits", split_seed=1)).labelled_fingerprint != own.labelled_fingerprint


def test_the_pretexts_dataset_must_be_known_and_there(tmp_path):
    with pytest.raises(BadInputError, match="no dataset is called 'car'"):
        open_data(DataChoice("digits", pretext_dataset="car"))
    with pytest.raises(BadInputError, match="needs a data folder"):
        open_data(DataChoice("digits", pretext_dataset="cars"))
