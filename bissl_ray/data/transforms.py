"""From a decoded image to what a network is fed: float32 (3, S, S), normalised, augmented or not.

Photographs get the augmentations of SimCLR and BYOL as the BiSSL paper sets them. Greyscale drawings
get a set of their own: colour says nothing there, and mirroring, blur or solarisation destroy it.
Every random number comes from torch's default CPU generator, which the loaders seed per image.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor

from bissl_ray.data.nested import stacked
from bissl_ray.data.spec import DatasetSpec

Place = Literal["loader", "device"]
"""Where photographs are augmented: where they are decoded, or where the network is."""


class InSteps(NamedTuple):
    """A transform in two steps, between which images travel as uint8.

    Attributes:
        prepare: from an item of the source to a sample; its random numbers come from torch's default CPU generator.
        collate: from some samples to a batch of tensors.
        finish: from such a batch, on any device, to what the network takes.
    """

    prepare: Callable[..., Any]
    collate: Callable[[Sequence[Any]], Any]
    finish: Callable[[Any], Any]


def in_steps(
    transform: Callable[..., Any], own_collate: Callable[[Sequence[Any]], Any] | None, place: Place
) -> InSteps:
    """A transform in the two steps that it offers by a method `in_steps(place)`, else all of it in the first.

    Args:
        transform: from an item of the source to a sample.
        own_collate: a task's own way from samples to a batch, which is asked for whole samples; None: they are stacked.
        place: where photographs are augmented.
    """
    offered = getattr(transform, "in_steps", None)
    if offered is None or own_collate is not None:
        return InSteps(transform, own_collate or stacked, _as_it_is)
    steps: InSteps = offered(place)
    return steps


def _as_it_is(batch: Any) -> Any:
    return batch


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
