"""What a detector is fed: images with the boxes of their objects, changed together, and batches of several sizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from bissl_ray.config.settings import Settings
from bissl_ray.data.objects import Objects
from bissl_ray.data.spec import DatasetSpec
from bissl_ray.downstream.base import Prepare
from bissl_ray.downstream.detection.located import Located

SIDE_MULTIPLE: Final = 32
"""Sides of a batch are multiples of it, pixels: backbones reduce images by at most that."""

_KEYS: Final = 2**62


class Sample(NamedTuple):
    """An image and its n objects.

    Attributes:
        image: float32 (3, H, W), normalised.
        boxes: float64 (n, 4): left, top, right, bottom in pixels of `image`.
        classes: int64 (n,).
        crowd: bool (n,); see `Objects`.
        difficult: bool (n,); see `Objects`.
        areas: float64 (n,), in pixels of the annotated image.
        annotated: int64 (2,): height and width of the annotated image.
        key: int64 (): all that the task draws for this image, it draws from this.
    """

    image: Tensor
    boxes: Tensor
    classes: Tensor
    crowd: Tensor
    difficult: Tensor
    areas: Tensor
    annotated: Tensor
    key: Tensor


class Scenes(NamedTuple):
    """A batch of N images with T objects in all, one image's after another's.

    Attributes:
        images: float32 (N, 3, H, W); smaller ones padded with 0 on the right and at the bottom.
        sizes: int64 (N, 2): height and width of each before padding.
        annotated: int64 (N, 2): height and width of each as annotated.
        counts: int64 (N,): objects of each.
        boxes: float64 (T, 4), in pixels of `images`.
        classes: int64 (T,).
        crowd: bool (T,).
        difficult: bool (T,).
        areas: float64 (T,), in pixels of the annotated images.
        keys: int64 (N,).
    """

    images: Tensor
    sizes: Tensor
    annotated: Tensor
    counts: Tensor
    boxes: Tensor
    classes: Tensor
    crowd: Tensor
    difficult: Tensor
    areas: Tensor
    keys: Tensor


def collate(samples: Sequence[Sample]) -> Scenes:
    """Put samples, at least one, into a batch whose sides are multiples of `SIDE_MULTIPLE`."""
    sizes = torch.tensor([sample.image.shape[-2:] for sample in samples])
    height, width = (in_frame(side) for side in sizes.amax(0).tolist())
    images = samples[0].image.new_zeros(len(samples), 3, height, width)
    for place, (own_height, own_width) in enumerate(sizes.tolist()):
        images[place, :, :own_height, :own_width] = samples[place].image
    return Scenes(
        images,
        sizes,
        torch.stack([sample.annotated for sample in samples]),
        torch.tensor([len(sample.classes) for sample in samples]),
        torch.cat([sample.boxes for sample in samples]),
        torch.cat([sample.classes for sample in samples]),
        torch.cat([sample.crowd for sample in samples]),
        torch.cat([sample.difficult for sample in samples]),
        torch.cat([sample.areas for sample in samples]),
        torch.stack([sample.key for sample in samples]),
    )


def in_frame(side: int) -> int:
    """The side of the smallest frame that holds a side, pixels."""
    return -(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE


def train_sample(spec: DatasetSpec, settings: Settings) -> Prepare:
    """What makes a sample to train on: cropped, mirrored and scaled at random.

    Args:
        spec: the dataset's facts.
        settings: of the trial; those that begin with `detection_` are read.

    Returns:
        Maps an image and its `Objects` to a `Sample`. Raises BadInputError where their sides don't fit together.
    """
    sides = (settings.detection_side_low, settings.detection_side)
    return _Random(spec.mean, spec.std, sides, settings.detection_crop, spec.horizontal_flip)


def evaluation_sample(spec: DatasetSpec, settings: Settings) -> Prepare:
    """What makes a sample to be scored on: the whole image at the side `detection_side`; see `train_sample`."""
    return _Whole(spec.mean, spec.std, settings.detection_side)


_Channels = tuple[float, float, float]


@dataclass(frozen=True)
class _Normalised:
    mean: _Channels
    std: _Channels

    def sample(self, located: Located, target: Objects, key: Tensor) -> Sample:
        """The finished sample."""
        scaled = F.to_dtype(located.image.as_subclass(Tensor), torch.float32, scale=True)
        kept = located.kept.numpy()
        return Sample(
            F.normalize(scaled, list(self.mean), list(self.std)),
            located.boxes.as_subclass(Tensor),
            torch.tensor(target.classes[kept], dtype=torch.int64),
            torch.tensor(target.crowd[kept], dtype=torch.bool),
            torch.tensor(target.difficult[kept], dtype=torch.bool),
            torch.tensor(target.areas[kept], dtype=torch.float64),
            torch.tensor([target.height, target.width]),
            key,
        )


@dataclass(frozen=True)
class _Random(_Normalised):
    sides: tuple[int, int]
    crop: float
    flip: bool

    def __call__(self, image: Any, target: Objects) -> Sample:
        located = Located.of(image, target)
        # In this order little is resized.
        if self.crop < 1:
            located = located.cropped(*_random_part(located.height, located.width, self.crop))
        if self.flip and torch.rand(()) < 0.5:
            located = located.flipped()
        low, high = self.sides
        resized = located.resized(int(torch.randint(low, high + 1, ())))
        return self.sample(resized.with_area(), target, torch.randint(_KEYS, ()))


@dataclass(frozen=True)
class _Whole(_Normalised):
    side: int

    def __call__(self, image: Any, target: Objects) -> Sample:
        return self.sample(Located.of(image, target).resized(self.side), target, torch.tensor(0))


def _random_part(height: int, width: int, share: float) -> tuple[int, int, int, int]:
    """Left, top, height and width of a part whose sides are each drawn from this share of the image's up to all."""
    tall, wide, down, right = torch.rand(4).tolist()
    part_height, part_width = (
        max(1, round(side * (share + (1 - share) * draw))) for side, draw in ((height, tall), (width, wide))
    )
    return int(right * (width - part_width + 1)), int(down * (height - part_height + 1)), part_height, part_width
