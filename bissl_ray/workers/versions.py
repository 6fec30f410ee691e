"""Whether what is installed beside this package is what it was made for: pip can be told not to look (issue 19)."""

import tomllib
from importlib import metadata
from importlib.resources import files
from pathlib import Path

from packaging.requirements import Requirement

from bissl_ray.errors import BadInputError


def required(package: str = "bissl-ray") -> list[Requirement]:
    """What a package can't do without; a checkout that was not installed says so in its pyproject.toml."""
    try:
        lines = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        project = Path(str(files("bissl_ray"))).with_name("pyproject.toml")
        known = tomllib.loads(project.read_text())["project"] if project.is_file() else {}
        lines = known["dependencies"] if known.get("name") == package else []
    every = [Requirement(line) for line in lines]
    return [each for each in every if each.marker is None or each.marker.evaluate({"extra": ""})]


def check_installed(package: str = "bissl-ray") -> None:
    """Refuse other versions before anything starts: an older Ray hangs, or fails every trial, and does not say why.

    Args:
        package: whose requirements are held against what is installed.

    Raises:
        BadInputError: one is too old, or is not there; says what to install.
    """
    for each in required(package):
        try:
            there = metadata.version(each.name)
        except metadata.PackageNotFoundError:
            there = "none"
        if there == "none" or not each.specifier.contains(there, prereleases=True):
            raise BadInputError(
                f"{each.name}: found {there}, expected {each.specifier} for {package}{_version(package)}; "
                f"install it with: pip install '{each}' (on a cluster, on all of its machines)"
            )


def _version(package: str) -> str:
    try:
        return f" {metadata.version(package)}"
    except metadata.PackageNotFoundError:  # a checkout
        return ""
