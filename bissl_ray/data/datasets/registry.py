"""Every dataset by name. A new one is a file with a `SPEC` and a line in the tuple below, or an entry of a plugin's."""

from typing import Final

from bissl_ray.data.datasets import (
    aircrafts,
    caltech101,
    cars,
    cifar,
    coco,
    cub200,
    digits,
    digits_scenes,
    dtd,
    emnist,
    fashion_mnist,
    flowers,
    folder,
    food,
    imagenet,
    kmnist,
    pets,
    stl10,
    sun397,
    svhn,
    voc07,
    voc0712,
)
from bissl_ray.data.spec import DatasetSpec
from bissl_ray.errors import BadInputError, nearest
from bissl_ray.plugins import load_plugins

DATASETS: Final[dict[str, DatasetSpec]] = {
    spec.name: spec
    for spec in (
        aircrafts.SPEC,
        caltech101.SPEC,
        cars.SPEC,
        cifar.CIFAR10,
        cifar.CIFAR100,
        coco.SPEC,
        cub200.SPEC,
        digits.SPEC,
        digits_scenes.SPEC,
        dtd.SPEC,
        emnist.SPEC,
        fashion_mnist.SPEC,
        flowers.SPEC,
        folder.SPEC,
        food.SPEC,
        imagenet.SPEC,
        kmnist.SPEC,
        pets.SPEC,
        stl10.SPEC,
        sun397.SPEC,
        svhn.SPEC,
        voc07.SPEC,
        voc0712.SPEC,
    )
}

_NAMED: Final = (folder.NAMED, coco.NAMED)


def dataset_names() -> list[str]:
    """List the names of all datasets, in alphabetical order; any folder-NAME and coco-NAME is one as well."""
    load_plugins()
    return sorted(DATASETS)


def get_dataset(name: str) -> DatasetSpec:
    """Look up a dataset.

    Args:
        name: one of `dataset_names`, or folder-NAME or coco-NAME for one of several folders of a person's own.

    Raises:
        BadInputError: no dataset has that name.
    """
    for own in _NAMED:
        if own.is_named(name):
            return own.named(name)
    if name not in DATASETS:
        load_plugins()
    if name not in DATASETS:
        known = ", ".join(dataset_names())
        raise BadInputError(f"no dataset is called {name!r}; there are: {known}{nearest(name, DATASETS)}")
    return DATASETS[name]
