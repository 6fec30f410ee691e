"""The registry: names are found or explained, and looking them up costs nothing."""

import subprocess
import sys

import pytest

from bissl_ray.data import dataset_names, get_dataset
from bissl_ray.errors import BadInputError

HEAVY = {"torch", "torchvision", "numpy", "scipy", "sklearn", "PIL", "ray"}


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BadInputError, match=r"'digit'; there are: .*cars, .*digits, .*; did you mean 'digits'"):
        get_dataset("digit")


def test_every_dataset_says_what_it_is() -> None:
    for name in dataset_names():
        spec = get_dataset(name)
        assert spec.name == name
        assert spec.home and spec.layout and spec.classes > 1
        assert spec.embedded == (name == "digits")
        assert all(path.rstrip("/") in spec.layout for path in spec.required)


def test_looking_a_dataset_up_imports_nothing_heavy() -> None:
    program = "import sys, bissl_ray.data as d; d.get_dataset('cars'); print(*sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not HEAVY & set(finished.stdout.split())
