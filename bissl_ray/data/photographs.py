"""Transforms of colour photographs: those of SimCLR and BYOL as the BiSSL paper sets them (PAPER)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from bissl_ray.data.spec import DatasetSpec

_SMALLEST_BLURRED = 32


@dataclass(frozen=True)
class Views:
    """Two views of one image, each by a transform of its own."""

    first: Callable[[Any], Tensor]
    second: Callable[[Any], Tensor]

    def __call__(self, image: Any) -> tuple[Tensor, Tensor]:
        """Turn a PIL RGB image or uint8 (3, H, W) to two views, each float32 (3, S, S)."""
        return self.first(image), self.second(image)


def _composed(*steps: v2.Transform) -> Callable[[Any], Tensor]:
    composed: Callable[[Any], Tensor] = v2.Compose(steps)
    return composed


def _crop_and_flip(spec: DatasetSpec, image_size: int) -> list[v2.Transform]:
    steps: list[v2.Transform] = [
        v2.RandomResizedCrop(image_size, scale=spec.crop_scale, interpolation=InterpolationMode.BICUBIC)
    ]
    if spec.horizontal_flip:
        steps.append(v2.RandomHorizontalFlip())
    return [*steps, v2.ToImage()]


def _normalise(spec: DatasetSpec) -> list[v2.Transform]:
    return [v2.ToDtype(torch.float32, scale=True), v2.Normalize(spec.mean, spec.std), v2.ToPureTensor()]


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
        v2.Resize(round(image_size * 8 / 7), interpolation=InterpolationMode.BICUBIC),
        v2.CenterCrop(image_size),
        v2.ToImage(),
        *_normalise(spec),
    )
