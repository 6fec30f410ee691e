"""What is drawn at random for one view of a photograph."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch

_RATIO: Final = (3 / 4, 4 / 3)
_LOG_RATIO: Final[list[float]] = torch.log(torch.tensor(_RATIO)).tolist()
_CROPS_TRIED: Final = 10
_JITTERED: Final = 0.8
_GREY: Final = 0.2
_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = (0.6, 1.4), (0.6, 1.4), (0.8, 1.2), (-0.1, 0.1)
_SIGMA: Final = (0.1, 2.0)
_SMALLEST_BLURRED: Final = 32


class Box(NamedTuple):
    """A rectangle of an image, pixels."""

    top: int
    left: int
    height: int
    width: int


class Colours(NamedTuple):
    """What is done to the colours of a view, and to its sharpness.

    Attributes:
        order: of brightness (0), contrast (1), saturation (2) and hue (3); empty where they stay as they are.
        factors: of brightness, contrast and saturation, and the turn of the hue in turns.
        grey: whether colour is taken out after that.
        sigma: of the blur after that, pixels; 0: none.
        solarised: whether values from 128 on are inverted after that.
    """

    order: tuple[int, ...] = ()
    factors: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 0.0)
    grey: bool = False
    sigma: float = 0.0
    solarised: bool = False


def _uniform(low: float, high: float) -> float:
    return torch.empty(1).uniform_(low, high).item()


def _happens(probability: float) -> bool:
    return not bool(torch.rand(1) >= probability)


@dataclass(frozen=True)
class CropLaw:
    """A part of the image of random size and shape, and whether it is mirrored.

    Attributes:
        scale: least and largest share of the image's area.
        mirrors: whether every second one is.
    """

    scale: tuple[float, float]
    mirrors: bool

    def draw(self, height: int, width: int) -> tuple[Box, bool]:
        """Draw for an image of this size (torchvision's RandomResizedCrop, RandomHorizontalFlip)."""
        return self._box(height, width), self.mirrors and _happens(0.5)

    def _box(self, height: int, width: int) -> Box:
        for _ in range(_CROPS_TRIED):
            area = height * width * _uniform(*self.scale)
            ratio = torch.exp(torch.empty(1).uniform_(*_LOG_RATIO)).item()
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                top = int(torch.randint(0, height - h + 1, (1,)).item())
                return Box(top, int(torch.randint(0, width - w + 1, (1,)).item()), h, w)
        # Of an image that is too long for that, the middle.
        w, h = width, height
        if width / height < _RATIO[0]:
            h = round(w / _RATIO[0])
        elif width / height > _RATIO[1]:
            w = round(h * _RATIO[1])
        return Box((height - h) // 2, (width - w) // 2, h, w)


@dataclass(frozen=True)
class ColourLaw:
    """Colour jitter, grey, blur and solarisation of one view, as the BiSSL paper sets them (PAPER).

    Blur is as in SimCLR: a kernel of a tenth of the side, sigma 0.1 .. 2 pixels. Below 32 pixels there is none (SimCLR
    leaves it out on CIFAR-10, too, appendix B.9): two pixels of blur on so small an image erase what the classes differ
    in.

    Attributes:
        side: of the view, pixels.
        blurred: how often it is blurred.
        solarised: how often it is solarised.
    """

    side: int
    blurred: float
    solarised: float

    @property
    def blur_width(self) -> int:
        """Pixels of the blur's kernel; 0: none."""
        return self.side // 10 | 1 if self.side >= _SMALLEST_BLURRED else 0

    def draw(self) -> Colours:
        """Draw for one view (torchvision's ColorJitter, RandomGrayscale, GaussianBlur, RandomSolarize)."""
        order: tuple[int, ...] = ()
        factors = Colours().factors
        if _happens(_JITTERED):
            order = tuple(torch.randperm(4).tolist())
            factors = (_uniform(*_BRIGHTNESS), _uniform(*_CONTRAST), _uniform(*_SATURATION), _uniform(*_HUE))
        grey = _happens(_GREY)
        sigma = _uniform(*_SIGMA) if self.blur_width and _happens(self.blurred) else 0.0
        return Colours(order, factors, grey, sigma, _happens(self.solarised))
