"""The views of photographs as a chain of torchvision's transforms: what our own are held against, in value and rate."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from bissl_ray.data.spec import DatasetSpec

Chain = Callable[[Any], Tensor]


def chained_views(spec: DatasetSpec, image_size: int) -> tuple[Chain, Chain]:
    """The chains of the first and of the second view, from a PIL RGB image or uint8 (3, H, W) to float32 (3, S, S)."""

    def view(blurred: float, solarised: float) -> Chain:
        blur = v2.GaussianBlur(image_size // 10 | 1, sigma=(0.1, 2.0))
        return chain(
            *_crop(spec, image_size),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.2, 0.1)], p=0.8),
            v2.RandomGrayscale(0.2),
            *([v2.RandomApply([blur], p=blurred)] if image_size >= 32 else []),
            v2.RandomSolarize(threshold=128, p=solarised),
            *_normalise(spec),
        )

    return view(1.0, 0.0), view(0.1, 0.2)


def chained_crop(spec: DatasetSpec, image_size: int) -> Chain:
    """The chain of supervised training, likewise."""
    return chain(*_crop(spec, image_size), *_normalise(spec))


def chain(*steps: Callable[[Any], Any]) -> Chain:
    """Transforms one after another."""
    composed: Chain = v2.Compose(steps)
    return composed


def _crop(spec: DatasetSpec, image_size: int) -> list[v2.Transform]:
    crop = v2.RandomResizedCrop(image_size, scale=spec.crop_scale, interpolation=InterpolationMode.BICUBIC)
    return [v2.PILToTensor(), crop, *([v2.RandomHorizontalFlip()] if spec.horizontal_flip else [])]


def _normalise(spec: DatasetSpec) -> list[v2.Transform]:
    return [v2.ToDtype(torch.float32, scale=True), v2.Normalize(spec.mean, spec.std)]
