"""What is said of the data: where validation came from, and that index files were found where they were asked for."""

from pathlib import Path

import pytest

from bissl_ray.data import DataChoice
from bissl_ray.errors import BadInputError
from bissl_ray.preflight.data import inspect_data
from tests.data.tiny import write_tiny


def test_where_validation_came_from_is_among_the_facts() -> None:
    assert (
        "597 test images; validation drawn, seed 4; fingerprint"
        in inspect_data(DataChoice("digits", split_seed=4)).in_words
    )


def test_a_folder_without_the_datasets_index_files_is_said_and_refused(tmp_path: Path) -> None:
    data, folder = str(write_tiny("cars", tmp_path / "data")), str(tmp_path)
    facts = inspect_data(DataChoice("cars", data_dir=data, splits_dir=folder))
    assert f"validation drawn, seed 0 ({folder} has no index files of it)" in facts.in_words
    with pytest.raises(BadInputError, match=r"has neither cars_train_split.txt nor cars_val.*; .* drawn, seed 0"):
        facts.require_split("cars")
    for part, indices in (("train", "0\n1\n2\n3\n"), ("val", "4\n")):
        (tmp_path / f"cars_{part}_split.txt").write_text(indices)
    facts = inspect_data(DataChoice("cars", data_dir=data, splits_dir=folder))
    facts.require_split("cars")
    assert f"; validation from {folder}/cars_val_split.txt; " in facts.in_words
    inspect_data(DataChoice("cars", data_dir=data)).require_split("cars")
