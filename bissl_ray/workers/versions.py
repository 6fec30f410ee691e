"""Whether what is installed beside this package is what it was made for: pip can be told not to look (issue 19)."""

from importlib import metadata

from packaging.requirements import Requirement

from bissl_ray.errors import BadInputError


def check_installed(package: str = "bissl-ray") -> None:
    """Refuse other versions before anything starts: an older Ray hangs, or fails every trial, and does not say why.

    Args:
        package: whose requirements are held against what is installed; a checkout without metadata has none.

    Raises:
        BadInputError: one is too old, or is not there; says what to install.
    """
    try:
        required = [Requirement(line) for line in metadata.requires(package) or ()]
    except metadata.PackageNotFoundError:
        return
    for each in required:
        if each.marker is not None and not each.marker.evaluate({"extra": ""}):
            continue
        try:
            there = metadata.version(each.name)
        except metadata.PackageNotFoundError:
            there = "none"
        if there == "none" or not each.specifier.contains(there, prereleases=True):
            raise BadInputError(
                f"{each.name}: found {there}, expected {each.specifier} for {package} {metadata.version(package)}; "
                f"install it with: pip install '{each}' (on a cluster, on all of its machines)"
            )
