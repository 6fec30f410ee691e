"""From a decoded image to what a network is fed: float32 (3, S, S), normalised, augmented or not.

Photographs get the augmentations of SimCLR and BYOL as the BiSSL paper sets them. Greyscale drawings
get a set of their own: colour says nothing there, and mirroring, blur or solarisation destroy it.
Every random number comes from torch's default CPU generator, which the loaders seed per image.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from bissl_ray.data.spec import DatasetSpec


def pretext_transform(spec: DatasetSpec, image_size: int) -> Callable[[Any], tuple[Tensor, Tensor]]:
    """Build the map from a decoded image to two augmented views, each float32 (3, S, S)."""
    if spec.colour:
        from bissl_ray.data.photographs import pretext_views

        return pretext_views(spec, image_size)
    from bissl_ray.data.greyscale import RandomViews, RandomWarp

    return RandomViews(RandomWarp(image_size, spec.crop_scale, spec.mean[0], spec.std[0]))


def train_transform(spec: DatasetSpec, image_size: int) -> Callable[[Any], Tensor]:
    """Build the map from a decoded image to an augmented one for supervised training, float32 (3, S, S)."""
    if spec.colour:
        from bissl_ray.data.photographs import random_crop

        return random_crop(spec, image_size)
    from bissl_ray.data.greyscale import RandomWarp

    return RandomWarp(image_size, spec.crop_scale, spec.mean[0], spec.std[0])


def evaluation_transform(spec: DatasetSpec, image_size: int) -> Callable[[Any], Tensor]:
    """Build the map from a decoded image to its central part, nothing random, float32 (3, S, S)."""
    if spec.colour:
        from bissl_ray.data.photographs import centre_crop

        return centre_crop(spec, image_size)
    from bissl_ray.data.greyscale import CentreCrop

    return CentreCrop(image_size, spec.mean[0], spec.std[0])
