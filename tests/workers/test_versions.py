"""What is installed beside the package is held against what it asks for, before anything starts."""

from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bissl_ray.errors import BadInputError
from bissl_ray.workers.versions import check_installed, other_versions, required
from tests.cli.command import run_here


def asking(folder: Path, *lines: str) -> str:
    """Another package, with these requirements."""
    info = folder / "of_others-1.0.dist-info"
    info.mkdir()
    required = "".join(f"Requires-Dist: {line}\n" for line in lines)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: of-others\nVersion: 1.0\n{required}")
    return "of-others"


def test_what_is_installed_here_is_well() -> None:
    check_installed()


@pytest.mark.parametrize(
    ("required", "said"),
    [
        ("ray[tune]>=99", f"ray: found {metadata.version('ray')}, expected >=99 for of-others 1.0"),
        ("no-such-package>=1", "no-such-package: found none, expected >=1"),
    ],
)
def test_what_is_too_old_or_not_there_is_named_with_what_to_install(
    required: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package = asking(tmp_path, "rich>=1", "absent>=1; extra == 'plot'", required)
    with pytest.raises(BadInputError, match="found") as caught:
        check_installed(package)
    message = str(caught.value)
    assert message.startswith(said) and f"pip install '{required}'" in message and "\n" not in message


def test_nothing_is_known_of_what_is_not_installed() -> None:
    assert required("not-installed-at-all") == []
    check_installed("not-installed-at-all")


def test_a_checkout_that_is_not_installed_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {each.name for each in required()}

    def absent(package: str) -> None:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "requires", absent)
    assert {each.name for each in required()} == installed >= {"torch", "ray", "pyarrow"}


def test_a_sweep_is_refused_before_ray_is_started(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package = asking(tmp_path, "ray>=99")
    monkeypatch.setattr("bissl_ray.workers.environment.check_installed", lambda: check_installed(package))
    refused = run_here(monkeypatch, capsys, "sweep", "--trials", "1", "--storage", tmp_path / "runs")
    assert refused.code == 2 and refused.err.startswith("bissl-ray: ray: found"), refused
    assert not (tmp_path / "runs").exists()


PIP = "pip install 'ray[default,tune,train]=={}'"


@pytest.mark.parametrize(
    ("theirs", "todo"),
    [
        (("2.61.0", "3.11.7"), "here, " + PIP.format("2.61.0")),
        (("2.61.0", "3.11.9"), "here, take an environment of Python 3.11.9, and in it " + PIP.format("2.61.0")),
        (("2.60.0", "3.12.1"), "here, take an environment of Python 3.12.1, and in it " + PIP.format("2.60.0")),
        (
            ("2.60.0", "3.11.9"),
            "set RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL=minor, or take an environment of Python 3.11.9",
        ),
    ],
)
def test_a_cluster_of_other_versions_is_named_with_both_and_what_to_install(theirs: tuple[str, str], todo: str) -> None:
    ray, python = theirs
    message = other_versions("10.0.0.1:6379", ray, python, "2.60.0", "3.11.7")
    both = f"the cluster at 10.0.0.1:6379 runs Ray {ray} on Python {python}, and here it is Ray 2.60.0 on Python 3.11.7"
    assert message == f"{both}: Ray wants the same on both sides; {todo}"


@pytest.mark.parametrize(
    ("theirs", "wanted"),
    [
        (("1.13.0", "3.11.7"), "Ray {ray}"),
        (("2.60.0", "3.9.18"), "Python {python}"),
        (("1.13.0", "3.9.18"), "Ray {ray} and Python {python}"),
    ],
)
def test_a_cluster_that_is_too_old_for_the_package_is_not_to_be_joined(theirs: tuple[str, str], wanted: str) -> None:
    """What one would install here to join it would be refused in its turn."""
    requirements = [Requirement(line) for line in metadata.requires("bissl-ray") or ()]
    ray = next(each.specifier for each in requirements if each.name == "ray")
    python = metadata.metadata("bissl-ray")["Requires-Python"]
    message = other_versions("10.0.0.1:6379", *theirs, "2.60.0", "3.11.7")
    wanted = wanted.format(ray=ray, python=python)
    assert message.endswith(f"bissl-ray wants {wanted}: install that on all machines of the cluster"), message
