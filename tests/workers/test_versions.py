"""What is installed beside the package is held against what it asks for, before anything starts."""

from importlib import metadata
from pathlib import Path

import pytest

from bissl_ray.errors import BadInputError
from bissl_ray.workers.versions import check_installed, required
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
