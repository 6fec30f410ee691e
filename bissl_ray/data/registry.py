"""Every dataset by name. A new one is a file with a `SPEC` and a name in the tuple below."""

from bissl_ray.data import (
    aircrafts,
    caltech101,
    cars,
    cub200,
    digits,
    dtd,
    flowers,
    food,
    pets,
    sun397,
)
from bissl_ray.data.spec import DatasetSpec
from bissl_ray.errors import BadInputError, nearest

_SPECS: dict[str, DatasetSpec] = {
    module.SPEC.name: module.SPEC
    for module in (
        aircrafts,
        caltech101,
        cars,
        cub200,
        digits,
        dtd,
        flowers,
        food,
        pets,
        sun397,
    )
}


def dataset_names() -> list[str]:
    """List the names of all datasets, in alphabetical order."""
    return sorted(_SPECS)


def get_dataset(name: str) -> DatasetSpec:
    """Look up a dataset.

    Raises:
        BadInputError: no dataset has that name.
    """
    if name not in _SPECS:
        known = ", ".join(dataset_names())
        raise BadInputError(f"no dataset is called {name!r}; there are: {known}{nearest(name, _SPECS)}")
    return _SPECS[name]
