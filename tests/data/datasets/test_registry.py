"""The registry: names are found or explained, and looking them up costs nothing."""

import subprocess
import sys

import pytest

from bissl_ray.data import dataset_names, get_dataset
from bissl_ray.errors import BadInputError

HEAVY = {"torch", "torchvision", "numpy", "scipy", "sklearn", "PIL", "ray"}
OWN = {"folder", "coco"}


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        BadInputError,
        match=r"'digit'; there are: .*cars, .*, digits, .*; did you mean 'digits' or 'digits_scenes' or 'dtd'\?",
    ):
        get_dataset("digit")


@pytest.mark.parametrize("name", dataset_names())
def test_every_dataset_says_what_it_is(name: str) -> None:
    spec = get_dataset(name)
    assert spec.name == name
    assert spec.title and spec.home and spec.layout
    assert spec.embedded == name.startswith("digits")
    assert (spec.classes is None) == (spec.sizes is None) == (name in OWN)
    first = [path if isinstance(path, str) else path[0] for path in spec.required]
    assert all(path.rstrip("/") in spec.layout for path in first)
    assert bool(spec.required) == (not spec.embedded and name not in OWN)


def test_looking_a_dataset_up_imports_nothing_heavy() -> None:
    program = "import sys, bissl_ray.data as d; d.get_dataset('cars'); print(*sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not HEAVY & set(finished.stdout.split())
