"""Tiny datasets in the real layouts, each learnable: for every test that needs a data folder."""

from collections.abc import Callable
from pathlib import Path

from tests.data.tiny.cars import write_tiny_cars
from tests.data.tiny.cifar import write_tiny_cifar10, write_tiny_cifar100
from tests.data.tiny.coco import write_tiny_coco
from tests.data.tiny.folders import write_tiny_folder, write_tiny_imagenet
from tests.data.tiny.lists import (
    write_tiny_aircrafts,
    write_tiny_caltech101,
    write_tiny_cub200,
    write_tiny_dtd,
    write_tiny_flowers,
    write_tiny_food,
    write_tiny_pets,
    write_tiny_sun397,
)
from tests.data.tiny.mnist_kin import write_tiny_emnist, write_tiny_fashion_mnist, write_tiny_kmnist
from tests.data.tiny.stl10 import write_tiny_stl10
from tests.data.tiny.svhn import write_tiny_svhn
from tests.data.tiny.voc07 import write_tiny_voc07
from tests.data.tiny.voc0712 import write_tiny_voc0712

WRITERS: dict[str, Callable[[Path], Path]] = {
    "aircrafts": write_tiny_aircrafts,
    "caltech101": write_tiny_caltech101,
    "cars": write_tiny_cars,
    "coco": write_tiny_coco,
    "cub200": write_tiny_cub200,
    "dtd": write_tiny_dtd,
    "flowers": write_tiny_flowers,
    "food": write_tiny_food,
    "pets": write_tiny_pets,
    "sun397": write_tiny_sun397,
    "cifar10": write_tiny_cifar10,
    "cifar100": write_tiny_cifar100,
    "emnist": write_tiny_emnist,
    "fashion_mnist": write_tiny_fashion_mnist,
    "folder": write_tiny_folder,
    "imagenet": write_tiny_imagenet,
    "kmnist": write_tiny_kmnist,
    "stl10": write_tiny_stl10,
    "svhn": write_tiny_svhn,
    "voc07": write_tiny_voc07,
    "voc0712": write_tiny_voc0712,
}
"""For each dataset that needs a data folder, what writes one and returns it."""


def write_tiny(name: str, root: Path) -> Path:
    """Write a tiny copy of dataset `name` under `root`, an empty folder, and return the data folder to give."""
    return WRITERS[name](root)
