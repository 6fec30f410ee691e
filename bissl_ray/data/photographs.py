"""Transforms of colour photographs: those of SimCLR and BYOL as the BiSSL paper sets them (PAPER).

A PIL image becomes a tensor before anything else, so that a file decoded now and one from the cache of decoded images
give the same bits: PIL rounds bicubic resizing otherwise than torch, and takes longer. Images stay uint8 until they are
where the network is (`transforms.InSteps`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from bissl_ray.data.augment.batched import Recipes, coloured_batch
from bissl_ray.data.augment.crops import Crop, Crops
from bissl_ray.data.augment.draws import Box, ColourLaw, Colours, CropLaw
from bissl_ray.data.augment.fastest import coloured
from bissl_ray.data.augment.resized import resized, resized_crop
from bissl_ray.data.nested import stacked
from bissl_ray.data.spec import DatasetSpec
from bissl_ray.data.transforms import InSteps, Place

_MOST_ELONGATED: Final = 4


@dataclass(frozen=True)
class Normalise:
    """From uint8 (..., 3, S, S) to float32 in units in which a dataset's channels have mean 0 and deviation 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise, where the images are."""
        values = functional.to_dtype(images, torch.float32, scale=True)
        normalised: Tensor = functional.normalize(values, list(self.mean), list(self.std))
        return normalised


def _pixels(image: Any) -> Tensor:
    """A PIL RGB image or uint8 (3, H, W) as the latter."""
    pixels: Tensor = image if isinstance(image, Tensor) else functional.pil_to_tensor(image)
    return pixels


@dataclass(frozen=True)
class Transform(ABC):
    """From an image to one for the network, in two steps: uint8 where it is decoded, normalised where it is used.

    Attributes:
        side: S, pixels.
        normalise: the second step.
    """

    side: int
    normalise: Normalise

    def __call__(self, image: Any) -> Tensor:
        """Turn a PIL RGB image or uint8 (3, H, W) to float32 (3, S, S)."""
        return self.normalise(self.prepare(image))

    @abstractmethod
    def prepare(self, image: Any) -> Tensor:
        """The same as uint8 (3, S, S)."""

    def in_steps(self, place: Place) -> InSteps:
        """The transform as a loader process and the network's device share it; there is one way of it."""
        return InSteps(self.prepare, stacked, self.normalise)


@dataclass(frozen=True)
class RandomCrop(Transform):
    """Random resized crop and flip, for supervised training."""

    crop: CropLaw

    def prepare(self, image: Any) -> Tensor:
        """A random part as uint8 (3, S, S)."""
        pixels = _pixels(image)
        return resized_crop(pixels, *self.crop.draw(*pixels.shape[-2:]), self.side)

    def in_steps(self, place: Place) -> InSteps:
        """See `Views.in_steps`."""
        if place == "device":
            return InSteps(self._cut, self._together, self._finish)
        return super().in_steps(place)

    def _cut(self, image: Any) -> Crop:
        pixels = _pixels(image)
        return Crop.of(pixels, *self.crop.draw(*pixels.shape[-2:]))

    def _together(self, samples: Sequence[Crop]) -> Crops:
        return Crops.of(samples, self.side)

    def _finish(self, crops: Crops) -> Tensor:
        return self.normalise(resized(crops))


@dataclass(frozen=True)
class CentreCrop(Transform):
    """The shorter side resized to 8/7 of the size, then the centre cropped, for evaluation.

    Of an image that is very long, both ends are cut off first: enlarged whole, one of a few pixels' height fills the
    memory.
    """

    def prepare(self, image: Any) -> Tensor:
        """The central part as uint8 (3, S, S)."""
        pixels = _pixels(image)
        height, width = pixels.shape[-2:]
        longest = _MOST_ELONGATED * min(height, width)
        if max(height, width) > longest:
            pixels = functional.center_crop(pixels, [min(height, longest), min(width, longest)])
        resized = functional.resize(pixels, [round(self.side * 8 / 7)], interpolation=InterpolationMode.BICUBIC)
        centre: Tensor = functional.center_crop(resized, [self.side, self.side])
        return centre.clone(memory_format=torch.contiguous_format)


@dataclass(frozen=True)
class Views:
    """Two views of one image: each a random crop and flip, then colours by a law of its own."""

    side: int
    normalise: Normalise
    crop: CropLaw
    laws: tuple[ColourLaw, ColourLaw]

    def __call__(self, image: Any) -> tuple[Tensor, Tensor]:
        """Turn a PIL RGB image or uint8 (3, H, W) to two views, each float32 (3, S, S)."""
        first, second = self._coloured(image)
        return self.normalise(first), self.normalise(second)

    def in_steps(self, place: Place) -> InSteps:
        """The same as a loader process and the network's device share it.

        Args:
            place: "loader": all but normalising is done where images are decoded; "device": they are only cut there.
        """
        if place == "device":
            return InSteps(self._cut, self._together, self._finish)
        return InSteps(self._coloured, stacked, self._normalised)

    def _drawn(self, image: Tensor) -> Iterator[tuple[Box, bool, Colours]]:
        for law in self.laws:
            yield *self.crop.draw(*image.shape[-2:]), law.draw()

    def _coloured(self, image: Any) -> tuple[Tensor, Tensor]:
        pixels = _pixels(image)
        first, second = (
            coloured(resized_crop(pixels, box, mirrored, self.side), colours, law.blur_width)
            for (box, mirrored, colours), law in zip(self._drawn(pixels), self.laws, strict=True)
        )
        return first, second

    def _normalised(self, views: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return self.normalise(views[0]), self.normalise(views[1])

    def _cut(self, image: Any) -> list[tuple[Crop, Colours]]:
        pixels = _pixels(image)
        return [(Crop.of(pixels, box, mirrored), colours) for box, mirrored, colours in self._drawn(pixels)]

    def _together(self, samples: Sequence[list[tuple[Crop, Colours]]]) -> list[tuple[Crops, Recipes]]:
        batches = []
        for number, law in enumerate(self.laws):
            crops, colours = zip(*(sample[number] for sample in samples), strict=True)
            batches.append((Crops.of(crops, self.side), Recipes.of(colours, law.blur_width)))
        return batches

    def _finish(self, batches: list[tuple[Crops, Recipes]]) -> tuple[Tensor, ...]:
        return tuple(self.normalise(coloured_batch(resized(crops), recipes)) for crops, recipes in batches)


def _law(spec: DatasetSpec) -> CropLaw:
    return CropLaw(spec.crop_scale, spec.horizontal_flip)


def pretext_views(spec: DatasetSpec, image_size: int) -> Views:
    """Two views: random resized crop, flip, colour jitter, grey, blur, and solarisation of the second."""
    laws = (ColourLaw(image_size, 1.0, 0.0), ColourLaw(image_size, 0.1, 0.2))
    return Views(image_size, Normalise(spec.mean, spec.std), _law(spec), laws)


def random_crop(spec: DatasetSpec, image_size: int) -> RandomCrop:
    """Random resized crop and flip, for supervised training."""
    return RandomCrop(image_size, Normalise(spec.mean, spec.std), _law(spec))


def centre_crop(spec: DatasetSpec, image_size: int) -> CentreCrop:
    """The central part, for evaluation."""
    return CentreCrop(image_size, Normalise(spec.mean, spec.std))
