"""Transforms: shapes, ranges, geometry in closed form, and what must not happen to digits."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from bissl_ray.data import get_dataset
from bissl_ray.data.greyscale import warp
from bissl_ray.data.photographs import pretext_views
from bissl_ray.data.transforms import evaluation_transform, pretext_transform, train_transform

CARS, DIGITS = get_dataset("cars"), get_dataset("digits")
RAW = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def photograph(width: int = 80, height: int = 60) -> Image.Image:
    pixels = np.random.RandomState(0).randint(0, 256, (height, width, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def drawing() -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, 8, 8), generator=draw, dtype=torch.uint8).expand(3, -1, -1)


@pytest.mark.parametrize(("spec", "image"), [(CARS, photograph()), (DIGITS, drawing())], ids=["cars", "digits"])
@pytest.mark.parametrize("size", [16, 33])
def test_shapes_and_ranges(spec, image, size) -> None:
    spec = replace(spec, **RAW)
    first, second = pretext_transform(spec, size)(image)
    outputs = [first, second, train_transform(spec, size)(image), evaluation_transform(spec, size)(image)]
    for output in outputs:
        assert type(output) is Tensor
        assert output.shape == (3, size, size) and output.dtype == torch.float32
        assert 0 <= output.min() < output.max() <= 1
    assert not torch.equal(first, second)


def test_normalised_by_the_means_of_the_dataset() -> None:
    grey = Image.new("RGB", (40, 40), (128, 128, 128))
    output = evaluation_transform(CARS, 16)(grey)
    expected = (128 / 255 - torch.tensor(CARS.mean)) / torch.tensor(CARS.std)
    assert torch.allclose(output[:, 8, 8], expected, atol=1e-5)


def test_evaluation_keeps_the_centre_and_the_aspect_ratio() -> None:
    # A white disc of 28 pixels across in a wide image: 28 * (64 / 56) * (56 / 64 * 8 / 7) = 32 pixels across.
    y, x = np.mgrid[:56, :100]
    disc = ((x - 49.5) ** 2 + (y - 27.5) ** 2 <= 14**2) * np.uint8(255)
    output = evaluation_transform(replace(CARS, **RAW), 56)(Image.fromarray(np.stack([disc] * 3, axis=2)))[0]
    assert output.sum(0).max().item() == pytest.approx(32, abs=1)
    assert output.sum(1).max().item() == pytest.approx(32, abs=1)
    assert output.sum().item() == pytest.approx(math.pi * 16**2, rel=0.02)


def test_no_photograph_is_mirrored_where_mirroring_changes_the_class() -> None:
    # Left black, right white: in no crop is the left half the brighter one, unless mirrored.
    half = Image.fromarray(np.repeat(np.arange(60) >= 30, 3).reshape(1, 60, 3).repeat(60, 0) * np.uint8(255))
    torch.manual_seed(0)

    def mirrored(spec) -> int:
        crops = [train_transform(spec, 16)(half)[0] for _ in range(40)]
        return sum(bool(crop[:, 0].mean() > crop[:, -1].mean()) for crop in crops)

    assert mirrored(CARS) > 5
    assert mirrored(replace(CARS, horizontal_flip=False)) == 0


def test_crops_keep_the_share_of_the_area_that_was_asked_for() -> None:
    # The image's brightness is its column: a crop's share of the width is the range of brightness in it.
    ramp = Image.fromarray(np.linspace(0, 255, 200).astype(np.uint8)[None].repeat(200, 0)).convert("RGB")
    torch.manual_seed(0)

    def widths(scale: tuple[float, float]) -> list[float]:
        crop = train_transform(replace(CARS, crop_scale=scale, **RAW), 32)
        return [float(output.max() - output.min()) for output in (crop(ramp) for _ in range(40))]

    # Aspect ratios lie in 3/4 .. 4/3, so crops of 1/4 of the area are sqrt(3/4) / 2 .. sqrt(4/3) / 2 wide.
    quarter = widths((0.25, 0.25))
    assert 0.5 * math.sqrt(3 / 4) - 0.03 < min(quarter) < max(quarter) < 0.5 * math.sqrt(4 / 3) + 0.03
    assert min(widths((0.08, 1.0))) < min(quarter)


def test_small_images_are_not_blurred() -> None:
    assert [law.blur_width for law in pretext_views(CARS, 31).laws] == [0, 0]
    assert [law.blur_width for law in pretext_views(CARS, 96).laws] == [9, 9]
    assert not any(law.draw().sigma for law in pretext_views(CARS, 31).laws for _ in range(20))


def test_a_warp_of_the_whole_drawing_is_the_drawing() -> None:
    image = drawing()
    whole = warp(image, 8, width=1, height=1, angle=0, x=0, y=0)
    assert torch.allclose(whole[0, 0], image[0] / 255, atol=1e-6)


def test_a_warp_turns_and_shifts_as_asked() -> None:
    image = drawing()
    turned = warp(image, 8, width=1, height=1, angle=math.pi / 2, x=0, y=0)
    assert torch.allclose(turned[0, 0], torch.rot90(image[0] / 255), atol=1e-4)
    # Half the sides, centred half-way to the left: the left half of the middle rows, unscaled.
    left = warp(image, 4, width=0.5, height=0.5, angle=0, x=-0.5, y=0)
    assert torch.allclose(left[0, 0], image[0, 2:6, :4] / 255, atol=1e-4)


def test_digits_stay_grey() -> None:
    for view in pretext_transform(DIGITS, 16)(drawing()):
        assert torch.equal(view[0], view[1]) and torch.equal(view[0], view[2])
