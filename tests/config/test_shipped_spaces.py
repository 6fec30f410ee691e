"""The search spaces that ship: one for every dataset, each starting from what is published for it."""

import pytest

from bissl_ray.config import Settings, load_search_space, shipped_spaces
from bissl_ray.data import dataset_names

PUBLISHED = {
    "aircrafts": {"simclr": (0.03, 0.005), "byol": (0.015, 0.003)},
    "caltech101": {"simclr": (0.03, 1e-4), "byol": (0.015, 2e-4)},
    "cars": {"simclr": (0.035, 0.001), "byol": (0.04, 0.002)},
    "cifar10": {"simclr": (0.015, 0.001), "byol": (0.01, 0.001)},
    "cifar100": {"simclr": (0.01, 1e-4), "byol": (0.01, 0.001)},
    "cub200": {"simclr": (0.03, 0.001), "byol": (0.015, 1e-4)},
    "dtd": {"simclr": (0.03, 0.001), "byol": (0.015, 1e-4)},
    "flowers": {"simclr": (0.05, 5e-4), "byol": (0.035, 0.002)},
    "food": {"simclr": (0.03, 0.001), "byol": (0.035, 0.002)},
    "pets": {"simclr": (0.03, 0.001), "byol": (0.02, 0.002)},
    "sun397": {"simclr": (0.015, 5e-5), "byol": (0.01, 5e-5)},
    "voc07": {"simclr": (0.015, 0.005), "byol": (0.005, 0.006)},
    # Published is a weight decay of 0 for SimCLR, which its logarithmic range can't hold.
    "voc0712": {"simclr": (0.015, 1e-6), "byol": (0.03, 2e-4)},
}
"""Upper learning rate and weight decay by dataset and pretext (arXiv 2410.02387)."""

OTHERS = {
    "voc0712": {
        "upper_batch": 16,
        "head_epochs": 5,
        "head_lr": 0.01,
        "finetune_batch": 16,
        "finetune_epochs": 50,
        "finetune_warmup": 5,
    }
}
"""What is not the default: a detector's batches and epochs, as published where they are."""

UNPUBLISHED = {"stl10", "imagenet", "folder", "coco"}
GUESSED = {"fashion_mnist", "kmnist", "emnist", "svhn"}
"""Their known-good point is one of digits, until they have been searched."""


def test_there_is_a_space_for_every_dataset() -> None:
    assert set(shipped_spaces()) == {*PUBLISHED, *UNPUBLISHED, *GUESSED, "digits", "digits_scenes"}
    assert set(dataset_names()) == set(shipped_spaces())


@pytest.mark.parametrize("pretext", ["simclr", "byol"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_each_starts_from_its_published_point(name: str, pretext: str) -> None:
    space = load_search_space(name, {"fixed": {"pretext": pretext}})
    (point,) = space.known_good
    upper_lr, upper_weight_decay = PUBLISHED[name][pretext]
    point_of = {"pretext": pretext, "upper_lr": upper_lr, "upper_weight_decay": upper_weight_decay}
    expected = Settings.model_validate(point_of | OTHERS.get(name, {}))
    assert space.settings(space.complete(point)) == expected, "every other published value is the default"


@pytest.mark.parametrize("name", sorted(UNPUBLISHED))
def test_nothing_is_called_known_that_nobody_has_published(name: str) -> None:
    assert load_search_space(name).known_good == []


@pytest.mark.parametrize("name", sorted(GUESSED))
def test_small_images_begin_at_the_point_of_fashion_mnist(name: str) -> None:
    space = load_search_space(name)
    (point,) = space.known_good
    assert point == load_search_space("fashion_mnist").known_good[0]
    settings = space.settings(space.complete(point))
    assert (settings.image_size, settings.damping) == (32 if name == "svhn" else 28, 0)
    assert settings.curvature == "gauss_newton", "damping of its own size, and nothing negative"


@pytest.mark.parametrize("name", shipped_spaces())
def test_each_can_be_swept(name: str) -> None:
    space = load_search_space(name)
    assert space.dataset == name
    assert {"lower_lr", "upper_lr", "cg_iterations", "proximity_weight"} <= set(space.parameters)
    assert set(space.finetune_parameters) == {"finetune_lr", "finetune_weight_decay"}
    assert space.protocol.trials > space.protocol.finalists
    assert space.protocol.grace < space.settings({}).alternations
    for point in space.known_good:
        assert set(space.parameters) <= set(space.complete(point))
