"""Augmentations of photographs, measured on images whose pixels tell where they came from (PAPER's table)."""

import colorsys
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from bissl_ray.benchmarks.torchvision_views import chained_views
from bissl_ray.data import get_dataset
from bissl_ray.data.augment.compiled import coloured
from bissl_ray.data.augment.draws import Colours
from bissl_ray.data.photographs import Normalise, RandomCrop, Views, pretext_views
from bissl_ray.data.transforms import evaluation_transform, pretext_transform, train_transform

pytestmark = pytest.mark.slow

CARS = replace(get_dataset("cars"), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
DRAWS = 1500


def positions(height: int, width: int) -> Tensor:
    """An image whose first channel is its column and whose second is its row, uint8 (3, H, W)."""
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([column, row, torch.zeros_like(row)]).to(torch.uint8)


def flat(*colour: int) -> Tensor:
    return torch.tensor(colour, dtype=torch.uint8).view(3, 1, 1).expand(3, 40, 40).contiguous()


def near(share: float, probability: float, draws: int = DRAWS) -> bool:
    """Whether a share of draws is within four standard deviations of its probability."""
    return abs(share - probability) <= 4 * math.sqrt(probability * (1 - probability) / draws)


def boxes(transform: Callable[[Tensor], Tensor], count: int) -> Tensor:
    """Width, height (negative: mirrored) and centre of each crop, from the slope of the positions in it."""
    image = positions(240, 200)
    found = []
    for _ in range(count):
        crop = transform(image) * 255
        size = crop.shape[-1]
        inner = slice(size // 4, size - size // 4)  # bicubic resizing bends the slope at the borders only
        along = crop[0, size // 2, inner]
        down = crop[1, inner, size // 2]
        steps = size - 2 * (size // 4) - 1
        found.append(
            [float(line[-1] - line[0]) / steps * size for line in (along, down)]
            + [float(line.mean()) for line in (along, down)]
        )
    return torch.tensor(found)


def only_geometry(view: Views) -> Callable[[Tensor], Tensor]:
    """The beginning of a pretext view, before colours change, as the training crop ends."""
    return RandomCrop(view.side, Normalise((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), view.crop)


def drawn_evenly(height: int, width: int) -> tuple[float, float]:
    """Mean share, and mean logarithm of the aspect ratio, of crops drawn evenly in both, of those that fit."""
    draw = np.random.RandomState(0)
    share, aspect = draw.uniform(0.08, 1, 200_000), draw.uniform(math.log(3 / 4), math.log(4 / 3), 200_000)
    area = share * height * width
    fits = (area * np.exp(aspect) <= width**2) & (area * np.exp(-aspect) <= height**2)
    return float(share[fits].mean()), float(aspect[fits].mean())


@pytest.mark.parametrize("which", ["train", "views"])
def test_crops_keep_their_share_of_the_area_and_their_aspect_ratio(which: str) -> None:
    views = pretext_views(CARS, 48)
    crop = train_transform(CARS, 48) if which == "train" else only_geometry(views)
    torch.manual_seed(0)
    width, height, x, y = boxes(crop, DRAWS).unbind(1)
    share, aspect = (width.abs() * height) / (240 * 200), width.abs() / height
    # A tenth of a pixel of rounding, over half a crop of 48 pixels.
    assert 0.08 - 0.01 < share.min() < 0.1 and 0.97 < share.max() < 1.03
    assert 3 / 4 - 0.05 < aspect.min() < 0.8 and 1.25 < aspect.max() < 4 / 3 + 0.07
    expected_share, expected_aspect = drawn_evenly(240, 200)
    assert share.mean().item() == pytest.approx(expected_share, abs=0.03)
    assert aspect.log().mean().item() == pytest.approx(expected_aspect, abs=0.03)
    assert near(float((width < 0).float().mean()), 0.5)
    assert x.mean().item() == pytest.approx(99.5, abs=4) and y.mean().item() == pytest.approx(119.5, abs=4)


def test_scoring_sees_the_centre_seven_eighths() -> None:
    crop = evaluation_transform(CARS, 56)(positions(250, 200)) * 255
    assert crop.shape == (3, 56, 56)
    # The shorter side of 200 pixels becomes 64, of which 56 are kept: from 12.5 to 187.5.
    scale = 200 / 64
    expected = (torch.arange(56) - 27.5) * scale
    assert torch.allclose(crop[0, 28], expected + 99.5, atol=1)
    assert torch.allclose(crop[1, :, 28], expected + 124.5, atol=1)


def views_of(colour: Tensor, count: int = DRAWS) -> tuple[Tensor, Tensor]:
    """One pixel of many first and second views of an image of one colour, 0 .. 255, (n, 3) each."""
    transform = pretext_transform(CARS, 32)
    torch.manual_seed(1)
    drawn = torch.stack([torch.stack(transform(colour))[:, :, 16, 16] for _ in range(count)])
    return drawn[:, 0] * 255, drawn[:, 1] * 255


def test_jitter_and_grey_come_with_their_probabilities() -> None:
    # Dark enough not to be solarised as it is; brightened at most to 112.
    colour = flat(80, 50, 20)
    grey = v2.functional.rgb_to_grayscale(colour)[0, 0, 0].item()
    for view in views_of(colour):
        rounded = view.round()
        unchanged = (rounded == torch.tensor([80.0, 50.0, 20.0])).all(1) | (rounded == grey).all(1)
        assert near(float(unchanged.float().mean()), 0.2)
        assert near(float(((view[:, 0] - view[:, 1]).abs() < 0.5).float().mean()), 0.2)


def test_only_the_second_view_is_solarised_from_128_on() -> None:
    # White stays between 153 (darkened) and 255 unless solarised, which leaves at most 102.
    first, second = views_of(flat(255, 255, 255))
    assert (first > 150).all()
    assert near(float((second < 103).all(1).float().mean()), 0.2)
    (_, at_128), (_, at_127) = views_of(flat(128, 128, 128)), views_of(flat(127, 127, 127))
    untouched = (at_127.round() == 127).all(1)
    assert near(float(untouched.float().mean()), 0.2)
    # Of views without jitter, 128 becomes 127 where it is solarised; 127 stays as it is in all of them.
    assert near(float((at_128[untouched].round() == 127).all(1).float().mean()), 0.2, int(untouched.sum()))
    assert {127, 128} <= set(at_128[untouched].round().unique().tolist())


def test_jitter_has_its_strengths() -> None:
    brightness, _ = views_of(flat(100, 100, 100))
    assert 57 <= brightness.min() < 64 and 136 < brightness.max() <= 142
    # The hue of green, where it is still green: up to a tenth of the circle to either side.
    coloured, _ = views_of(flat(30, 90, 30))
    pixels = [colour for colour in (coloured / 255).tolist() if max(colour) - min(colour) > 0.02]
    hues = [colorsys.rgb_to_hsv(*colour)[0] - 1 / 3 for colour in pixels]
    assert -0.115 < min(hues) < -0.08 and 0.08 < max(hues) < 0.115


def test_contrast_and_saturation_have_their_strengths() -> None:
    torch.manual_seed(0)
    drawn = [colours for colours in (pretext_views(CARS, 32).laws[0].draw() for _ in range(800)) if colours.order]
    assert near(len(drawn) / 800, 0.8, 800)
    assert len({colours.order for colours in drawn}) == 24
    ranges = ((0.6, 1.4), (0.6, 1.4), (0.8, 1.2), (-0.1, 0.1))
    for values, (low, high) in zip(zip(*(colours.factors for colours in drawn), strict=True), ranges, strict=True):
        width = high - low
        assert low <= min(values) < low + 0.02 * width and high - 0.02 * width < max(values) <= high


def steps(transform: v2.Compose) -> list[v2.Transform]:
    inside = [step.transforms if isinstance(step, v2.RandomApply) else [step] for step in transform.transforms]
    return [step for group in inside for step in group]


def test_steps_come_in_the_published_order() -> None:
    crop = ["PILToTensor", "RandomResizedCrop", "RandomHorizontalFlip"]
    colours = ["ColorJitter", "RandomGrayscale", "GaussianBlur", "RandomSolarize", "ToDtype", "Normalize"]
    for view in chained_views(CARS, 96):
        assert [type(step).__name__ for step in steps(view)] == crop + colours


def test_blur_comes_with_its_probabilities() -> None:
    torch.manual_seed(2)
    for law, probability in zip(pretext_views(CARS, 32).laws, (1.0, 0.1), strict=True):
        blurred = [sigma for sigma in (law.draw().sigma for _ in range(600)) if sigma]
        assert near(len(blurred) / 600, probability, 600)
        assert 0.1 <= min(blurred) < max(blurred) <= 2
    assert max(blurred) > 1.5


def test_the_blur_is_a_gaussian_of_a_tenth_of_the_side() -> None:
    width = pretext_views(CARS, 96).laws[0].blur_width
    assert width == 9
    point = torch.zeros(3, 21, 21, dtype=torch.uint8)
    point[:, 10, 10] = 255
    sigma = 1.3
    offsets = torch.arange(-4, 5)
    line = torch.exp(-(offsets**2) / (2 * sigma**2))
    line /= line.sum()
    expected = torch.zeros(21, 21)
    expected[6:15, 6:15] = 255 * torch.outer(line, line)
    assert torch.allclose(coloured(point, Colours(sigma=sigma), width)[0].float(), expected, atol=0.51)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (300, 1), (2, 9), (96, 96), (97, 95)])
def test_no_image_is_too_small(height: int, width: int) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (height, width, 3)).astype(np.uint8)
    for image, make in product(
        (Image.fromarray(pixels), torch.from_numpy(pixels).permute(2, 0, 1)),
        (pretext_transform, train_transform, evaluation_transform),
    ):
        output = make(CARS, 96)(image)
        for view in output if isinstance(output, tuple) else (output,):
            assert view.shape == (3, 96, 96) and view.isfinite().all()


def test_a_very_long_image_is_scored_by_its_middle() -> None:
    # Resized whole, it would take 3.6 GB. Each of its pixels is enlarged to 27.
    long = torch.zeros(3, 4, 400_000, dtype=torch.uint8)
    long[:, :, 200_000:] = 255
    output = evaluation_transform(CARS, 96)(long)
    assert (output[..., :15] < 0.1).all() and (output[..., -15:] > 0.9).all()


def test_files_and_tensors_give_the_same_bits() -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (60, 80, 3)).astype(np.uint8)
    for make in (pretext_transform, train_transform, evaluation_transform):
        outputs = []
        for image in (Image.fromarray(pixels), torch.from_numpy(pixels).permute(2, 0, 1)):
            torch.manual_seed(4)
            output = make(CARS, 32)(image)
            outputs.append(torch.stack(output) if isinstance(output, tuple) else output)
        assert torch.equal(*outputs)
