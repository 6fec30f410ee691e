"""`make test-oldest` runs with just the versions that pyproject.toml gives as its lower bounds."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PINNED = (Path(__file__).parent / "constraints.txt").read_text().splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ASKED = [
    Requirement(line)
    for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for line in lines
]


@pytest.fixture(scope="module")
def pins() -> dict[str, Version]:
    found = [line.split("==") for line in PINNED if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in found}


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_every_lower_bound_is_what_is_installed(asked: Requirement, pins: dict[str, Version]) -> None:
    (bound,) = asked.specifier
    assert bound.operator == ">=", "a requirement without a lower bound is one that nobody has tried"
    assert pins[canonicalize_name(asked.name)] == Version(bound.version)


def test_it_names_no_place_to_install_from() -> None:
    assert not [line for line in PINNED if "://" in line or line.startswith("-")]


def test_the_page_says_the_same(pins: dict[str, Version]) -> None:
    page = (ROOT / "docs" / "cluster.md").read_text()
    for name in ("ray", "torch", "torchvision", "optuna"):
        assert f"| {name} | {pins[name]} |" in page, name
