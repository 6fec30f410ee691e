"""Whether what is installed beside this package is what it was made for: pip can be told not to look (issue 19)."""

import tomllib
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from bissl_ray.errors import BadInputError

_THIS: Final = "bissl-ray"


def required(package: str = _THIS) -> list[Requirement]:
    """What a package can't do without; a checkout that was not installed says so in its pyproject.toml."""
    try:
        lines = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        project = Path(str(files("bissl_ray"))).with_name("pyproject.toml")
        known = tomllib.loads(project.read_text())["project"] if project.is_file() else {}
        lines = known["dependencies"] if known.get("name") == package else []
    every = [Requirement(line) for line in lines]
    return [each for each in every if each.marker is None or each.marker.evaluate({"extra": ""})]


def check_installed(package: str = _THIS) -> None:
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


def other_versions(address: str, ray: str, python: str, own_ray: str, own_python: str) -> str:
    """What to tell whom Ray doesn't let join a cluster: the versions of both sides, and what to install.

    Args:
        address: the cluster's.
        ray: its version of Ray.
        python: its version of Python; Ray wants the same to the last digit, unless it is told otherwise.
        own_ray: this process's version of Ray.
        own_python: and of Python.
    """
    both = (
        f"the cluster at {address} runs Ray {ray} on Python {python}, and here it is Ray {own_ray} on Python "
        f"{own_python}: Ray wants the same on both sides"
    )
    wanted = {"Ray": (ray, _of_ray()), "Python": (python, _of_python())}
    old = [f"{name} {bounds}" for name, (there, bounds) in wanted.items() if not bounds.contains(there, True)]
    if old:
        return f"{both}, and {_THIS} wants {' and '.join(old)}: install that on all machines of the cluster"
    install = f"pip install 'ray[default,tune,train]=={ray}'"
    if python == own_python:
        return f"{both}; here, {install}"
    if ray == own_ray and python.split(".")[:2] == own_python.split(".")[:2]:
        return f"{both}; set RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL=minor, or take an environment of Python {python}"
    return f"{both}; here, take an environment of Python {python}, and in it {install}"


def _of_ray() -> SpecifierSet:
    return next((each.specifier for each in required(_THIS) if each.name == "ray"), SpecifierSet())


def _of_python() -> SpecifierSet:
    try:
        return SpecifierSet(metadata.metadata(_THIS)["Requires-Python"] or "")
    except metadata.PackageNotFoundError:
        return SpecifierSet()


def _version(package: str) -> str:
    try:
        return f" {metadata.version(package)}"
    except metadata.PackageNotFoundError:  # a checkout
        return ""
