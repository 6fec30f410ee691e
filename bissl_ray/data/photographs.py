"""Transforms of colour photographs: those of SimCLR and BYOL as the BiSSL paper sets them (PAPER).

A PIL image becomes a tensor before anything else, so that a file decoded now and one from the cache of decoded images
give the same bits: PIL rounds bicubic resizing otherwise than torch, and takes longer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from bissl_ray.data.spec import DatasetSpec

_SMALLEST_BLURRED = 32
_MOST_ELONGATED = 4


@dataclass(frozen=True)
class Views:
    """Two views of one image, each by a transform of its own."""

    first: Callable[[Any], Tensor]
    second: Callable[[Any], Tensor]

    def __call__(self, image: Any) -> tuple[Tensor, Tensor]:
        """Turn a PIL RGB image or uint8 (3, H, W) to two views, each float32 (3, S, S)."""
        return self.first(image), self.second(image)


@dataclass(frozen=True)
class CentralPart:
    """Cuts off both ends of an image that is very long: enlarged whole, one of a few pixels' height fills the memory.

    Attributes:
        most: times that the longer side may be as long as the shorter; other images stay as they are.
    """

    most: int

    def __call__(self, image: Tensor) -> Tensor:
        """Turn (3, H, W) to (3, H', W')."""
        height, width = image.shape[-2:]
        longest = self.most * min(height, width)
        if max(height, width) <= longest:
            return image
        part: Tensor = v2.functional.center_crop(image, [min(height, longest), min(width, longest)])
        return part


def _composed(*steps: Callable[[Any], Any]) -> Callable[[Any], Tensor]:
    composed: Callable[[Any], Tensor] = v2.Compose(steps)
    return composed


def _crop_and_flip(spec: DatasetSpec, image_size: int) -> list[v2.Transform]:
    crop = v2.RandomResizedCrop(image_size, scale=spec.crop_scale, interpolation=InterpolationMode.BICUBIC)
    return [v2.PILToTensor(), crop, *([v2.RandomHorizontalFlip()] if spec.horizontal_flip else [])]


def _normalise(spec: DatasetSpec) -> list[v2.Transform]:
    return [v2.ToDtype(torch.float32, scale=True), v2.Normalize(spec.mean, spec.std)]


def _blur(image_size: int, probability: float) -> list[v2.Transform]:
    """Blur as SimCLR does: a kernel of a tenth of the side, sigma 0.1 .. 2 pixels.

    Below 32 pixels there is none (SimCLR leaves it out on CIFAR-10, too, appendix B.9): two pixels of
    blur on so small an image erase what the classes differ in.
    """
    if image_size < _SMALLEST_BLURRED:
        return []
    kernel = image_size // 10 | 1
    return [v2.RandomApply([v2.GaussianBlur(kernel, sigma=(0.1, 2.0))], p=probability)]


def pretext_views(spec: DatasetSpec, image_size: int) -> Views:
    """Two views: random resized crop, flip, colour jitter, grey, blur, and solarisation of the second."""

    def view(blur_probability: float, solarise_probability: float) -> Callable[[Any], Tensor]:
        return _composed(
            *_crop_and_flip(spec, image_size),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.2, 0.1)], p=0.8),
            v2.RandomGrayscale(0.2),
            *_blur(image_size, blur_probability),
            v2.RandomSolarize(threshold=128, p=solarise_probability),
            *_normalise(spec),
        )

    return Views(view(1.0, 0.0), view(0.1, 0.2))


def random_crop(spec: DatasetSpec, image_size: int) -> Callable[[Any], Tensor]:
    """Random resized crop and flip, for supervised training."""
    return _composed(*_crop_and_flip(spec, image_size), *_normalise(spec))


def centre_crop(spec: DatasetSpec, image_size: int) -> Callable[[Any], Tensor]:
    """The shorter side resized to 8/7 of the size, then the centre cropped, for evaluation."""
    return _composed(
        v2.PILToTensor(),
        CentralPart(_MOST_ELONGATED),
        v2.Resize(round(image_size * 8 / 7), interpolation=InterpolationMode.BICUBIC),
        v2.CenterCrop(image_size),
        *_normalise(spec),
    )
