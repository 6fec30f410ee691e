"""An image and the boxes of what it shows, changed together."""

from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from bissl_ray.data.objects import Objects
from bissl_ray.errors import BadInputError

_LONGEST: Final = (5, 3)
"""Times that the longer side may be as long as the side asked for; as a fraction, so that whole numbers decide."""
_THINNEST: Final = 1e-2


class Located(NamedTuple):
    """An image on its way to a sample, and where its objects are.

    Attributes:
        image: uint8 (3, H, W).
        boxes: float64 (k, 4), in pixels of it.
        kept: int64 (k,): which of the annotated objects these are.
    """

    image: tv_tensors.Image
    boxes: tv_tensors.BoundingBoxes
    kept: Tensor

    @property
    def height(self) -> int:
        """Of the image, pixels."""
        return int(self.image.shape[-2])

    @property
    def width(self) -> int:
        """Of the image, pixels."""
        return int(self.image.shape[-1])

    @classmethod
    def of(cls, image: Any, target: Objects) -> "Located":
        """An image with its annotation.

        Args:
            image: PIL RGB, or uint8 (3, H, W); it may have been reduced.
            target: what is annotated.

        Raises:
            BadInputError: the annotated image has another shape.
        """
        # A tensor before anything else, as of a photograph: a cached image gives the same bits.
        pixels = image if isinstance(image, Tensor) else F.pil_to_tensor(image)
        height, width = pixels.shape[-2:]
        _refuse_another_shape(target, height, width)
        corners = torch.tensor(target.boxes, dtype=torch.float64).reshape(-1, 4)
        corners *= torch.tensor([width, height, width, height])
        return cls(tv_tensors.Image(pixels), _boxes(corners, height, width), torch.arange(len(corners)))

    def cropped(self, left: int, top: int, height: int, width: int) -> "Located":
        """A part of the image, with the objects whose centre it holds."""
        x, y = ((self.boxes[:, :2] + self.boxes[:, 2:]) / 2).unbind(1)
        inside = (x >= left) & (x < left + width) & (y >= top) & (y < top + height)
        boxes = _boxes(self.boxes[inside], self.height, self.width)
        part, clipped = (F.crop(of, top, left, height, width) for of in (self.image, boxes))
        return Located(part, clipped, self.kept[inside])

    def flipped(self) -> "Located":
        """The image mirrored."""
        return Located(F.horizontal_flip(self.image), F.horizontal_flip(self.boxes), self.kept)

    def resized(self, side: int) -> "Located":
        """The image with a shorter side of so many pixels, or fewer where the longer would be too long."""
        size = _size(self.height, self.width, side)
        smooth = InterpolationMode.BILINEAR
        image, boxes = (F.resize(of, size, interpolation=smooth, antialias=True) for of in (self.image, self.boxes))
        # The scale is rounded: a box of the whole image may end a millionth of a pixel outside.
        return Located(image, F.clamp_bounding_boxes(boxes), self.kept)

    def with_area(self) -> "Located":
        """Less the objects of which a crop or a smaller scale has left nothing."""
        there = ((self.boxes[:, 2:] - self.boxes[:, :2]) >= _THINNEST).all(1)
        return Located(self.image, _boxes(self.boxes[there], self.height, self.width), self.kept[there])


def longest_side(side: int) -> int:
    """The most that the longer side may be where the shorter was asked to be `side`, pixels."""
    return side * _LONGEST[0] // _LONGEST[1]


def _boxes(corners: Tensor, height: int, width: int) -> tv_tensors.BoundingBoxes:
    boxes: tv_tensors.BoundingBoxes = tv_tensors.BoundingBoxes(corners, format="XYXY", canvas_size=(height, width))
    return boxes


def _size(height: int, width: int, side: int) -> list[int]:
    """Height and width with this shorter side, or at the scale that the longer side allows, whole pixels."""
    shorter, longer = sorted((height, width))
    longest = longest_side(side)
    if longer * side > longest * shorter:
        short, long = max(1, round(shorter * longest / longer)), longest
    else:
        short, long = side, round(longer * side / shorter)
    return [short, long] if height <= width else [long, short]


def _refuse_another_shape(target: Objects, height: int, width: int) -> None:
    """Refuse an image that isn't the annotated one, reduced by whatever factor and rounded to whole pixels."""
    if 2 * abs(height * target.width - width * target.height) > target.width + target.height:
        raise BadInputError(
            f"{target.image_id}: annotated as {target.width} x {target.height} pixels, and the image is {width} x "
            f"{height}; if the annotations are of the image unturned, give --set exif_orientation=false, else correct "
            "the annotation; bissl-ray datasets check lists all such images"
        )
