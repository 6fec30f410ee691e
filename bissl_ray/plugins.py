"""Datasets and tasks that live outside of the package: modules that add theirs to the registries when imported."""

import importlib
import os
from functools import cache

from bissl_ray.errors import BadInputError

VARIABLE = "BISSL_RAY_PLUGINS"
"""Names such modules, separated by commas; each process of a sweep reads it, workers too."""


def load_plugins() -> None:
    """Import them, once per process: a registry asks when it lists its names, or doesn't know one.

    Raises:
        BadInputError: one can't be imported.
    """
    _import(os.environ.get(VARIABLE, ""))


@cache
def _import(names: str) -> None:
    for name in filter(None, map(str.strip, names.split(","))):
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a module of somebody else's raises
            raise BadInputError(
                f"{VARIABLE}: {name} can't be imported ({type(error).__name__}: {error}); every process must find it "
                "on its path"
            ) from error
