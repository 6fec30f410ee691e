"""Transforms of small greyscale drawings on a black ground, such as digits.

Crop, rotation, aspect ratio and enlargement are one affine map, sampled once: five times faster on
8 x 8 images than a chain of torchvision's, whose cost at this size is all dispatch.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_MOST_ROTATION = math.radians(15)
_MOST_STRETCH = math.log(4 / 3)


def _uniform(low: float, high: float, draw: float) -> float:
    return low + (high - low) * draw


def warp(image: Tensor, image_size: int, width: float, height: float, angle: float, x: float, y: float) -> Tensor:
    """Sample a rotated rectangle of an image, bicubically; outside the image is black.

    Args:
        image: uint8 (3, H, W) with equal channels.
        image_size: side of the result, at least the image's own: nothing is smoothed before sampling.
        width, height: sides of the rectangle, as shares of the image's.
        angle: rotation, radians.
        x, y: centre of the rectangle, each in -1 .. 1 over the image.

    Returns:
        One channel, float32 (1, 1, S, S), in [0, 1].
    """
    grey = image[:1].unsqueeze(0).to(torch.float32) / 255
    cos, sin = math.cos(angle), math.sin(angle)
    affine = torch.tensor([[[width * cos, -height * sin, x], [width * sin, height * cos, y]]])
    grid = F.affine_grid(affine, [1, 1, image_size, image_size], align_corners=False)
    return F.grid_sample(grey, grid, mode="bicubic", align_corners=False).clamp_(0, 1)


@dataclass(frozen=True)
class CentreCrop:
    """The middle 7/8 of each side, enlarged: as resizing to 8/7 of the size and cropping the centre."""

    image_size: int
    mean: float
    std: float

    def __call__(self, image: Tensor) -> Tensor:
        """Turn uint8 (3, H, W) to float32 (3, S, S)."""
        sampled = warp(image, self.image_size, 7 / 8, 7 / 8, 0.0, 0.0, 0.0)
        return sampled.sub_(self.mean).div_(self.std)[0].expand(3, -1, -1)


@dataclass(frozen=True)
class RandomWarp:
    """A random crop of a given share of the area, its aspect ratio 3/4 .. 4/3, turned by up to 15 degrees."""

    image_size: int
    scale: tuple[float, float]
    mean: float
    std: float

    def __call__(self, image: Tensor) -> Tensor:
        """Turn uint8 (3, H, W) to float32 (3, S, S)."""
        return self.sample(image).sub_(self.mean).div_(self.std)[0].expand(3, -1, -1)

    def sample(self, image: Tensor) -> Tensor:
        """Draw a crop, float32 (1, 1, S, S) in [0, 1]."""
        area, stretch, turn, x, y = torch.rand(5).tolist()
        side = math.sqrt(_uniform(*self.scale, area))
        aspect = math.exp(_uniform(-_MOST_STRETCH, _MOST_STRETCH, stretch) / 2)
        width, height = min(side * aspect, 1.0), min(side / aspect, 1.0)
        return warp(
            image,
            self.image_size,
            width,
            height,
            _uniform(-_MOST_ROTATION, _MOST_ROTATION, turn),
            (1 - width) * _uniform(-1, 1, x),
            (1 - height) * _uniform(-1, 1, y),
        )


@dataclass(frozen=True)
class RandomViews:
    """Two independent views: a random warp, then with probability 0.8 brightness and contrast of ±40 %."""

    crop: RandomWarp

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Turn uint8 (3, H, W) to two views, each float32 (3, S, S)."""
        return self._view(image), self._view(image)

    def _view(self, image: Tensor) -> Tensor:
        sampled = self.crop.sample(image)
        chance, brightness, contrast = torch.rand(3).tolist()
        if chance < 0.8:
            middle = sampled.mean()
            gain = _uniform(0.6, 1.4, contrast)
            sampled = ((sampled - middle) * gain + middle).mul_(_uniform(0.6, 1.4, brightness)).clamp_(0, 1)
        return sampled.sub_(self.crop.mean).div_(self.crop.std)[0].expand(3, -1, -1)
