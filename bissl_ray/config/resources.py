"""Where the files that ship beside the code lie: inside an installed wheel, or in the checkout."""

from importlib.resources import files
from pathlib import Path
from typing import Literal


def resource_dir(kind: Literal["search_spaces", "launch"]) -> Path:
    """Find a folder of shipped files.

    A wheel carries it under ``bissl_ray/_resources`` (pyproject.toml, force-include); in a checkout, also
    when installed editable, it lies beside the package.

    Args:
        kind: the folder's name.

    Returns:
        The folder, which exists.

    Raises:
        FileNotFoundError: the installation is broken: neither place has the folder.
    """
    package = Path(str(files("bissl_ray")))
    places = (package / "_resources" / kind, package.parent / kind)
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"{kind}: neither {places[0]} nor {places[1]} exists; install bissl-ray again")
