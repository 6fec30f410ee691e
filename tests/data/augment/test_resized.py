"""Crops resized in a batch have the bits of torch's own kernel, whatever their sizes."""

import random

import numpy as np
import pytest
import torch
from torch import Tensor

from bissl_ray.data.augment import crops as of_crops
from bissl_ray.data.augment.crops import Crop, Crops
from bissl_ray.data.augment.draws import Box
from bissl_ray.data.augment.resized import resized, resized_crop
from bissl_ray.data.augment.weights import axis


def noise(height: int, width: int, seed: int) -> Tensor:
    """Any values, or black and white only, which overshoot most; colour by colour of a pixel, as the cache holds it."""
    drawn = torch.randint(0, 256, (height, width, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return (drawn if seed % 2 else (drawn > 127).to(torch.uint8) * 255).permute(2, 0, 1)


def random_size(draw: random.Random, side: int) -> tuple[int, int]:
    """Any size, one that is S along an axis or both, or a very long one."""
    return draw.choice(
        [
            (draw.randint(1, 300), draw.randint(1, 300)),
            (side, draw.randint(1, 300)),
            (draw.randint(1, 300), side),
            (side, side),
            (1, draw.randint(1, 900)),
            (draw.randint(1, 900), draw.randint(1, 4)),
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("most_pixels", [1, 1 << 14, 1 << 20])
@pytest.mark.parametrize("side", [1, 8, 24, 96, 224])
def test_a_batch_is_resized_as_its_crops_are_one_by_one(side, most_pixels, monkeypatch) -> None:
    monkeypatch.setattr(of_crops, "_MOST_PIXELS", most_pixels)
    draw = random.Random(side)
    expected, crops = [], []
    for seed in range(40):
        height, width = random_size(draw, side)
        image = noise(height + draw.randint(0, 9), width + draw.randint(0, 9), seed)
        image = image.contiguous() if draw.random() < 0.3 else image
        box = Box(draw.randint(0, image.shape[1] - height), draw.randint(0, image.shape[2] - width), height, width)
        mirrored = draw.random() < 0.5
        expected.append(resized_crop(image, box, mirrored, side))
        crops.append(Crop.of(image, box, mirrored))
    found = resized(Crops.of(crops, side))
    assert found.is_contiguous() and torch.equal(found, torch.stack(expected))


@pytest.mark.slow
@pytest.mark.parametrize("side", [32, 96])
def test_the_weights_of_every_length_are_torchs(side: int) -> None:
    for length in range(1, 601):
        lines = noise(40, length, length)
        expected = torch.nn.functional.interpolate(lines[None], size=(40, side), mode="bicubic", antialias=True)[0]
        first, weights, precision = axis(length, side)
        padded = np.pad(lines.numpy(), ((0, 0), (0, 0), (0, len(weights)))).astype(np.int64)
        total = sum(padded[:, :, first + tap] * weight for tap, weight in enumerate(weights))
        assert np.array_equal(np.clip((total + (1 << precision - 1)) >> precision, 0, 255), expected.numpy()), length


def test_crops_from_a_file_in_memory_travel_as_one_tensor_and_stay_as_they_are(tmp_path) -> None:
    pixels = noise(50, 60, 1).permute(1, 2, 0).numpy()
    pixels.tofile(tmp_path / "pixels")
    mapped = torch.from_numpy(np.memmap(tmp_path / "pixels", np.uint8, "r+", shape=(50, 60, 3))).permute(2, 0, 1)
    boxes = [Box(0, 0, 50, 60), Box(3, 7, 20, 9), Box(49, 59, 1, 1)]
    batch = Crops.of([Crop.of(mapped, box, False) for box in boxes], 16)
    assert batch.pixels.shape == (50 * 60 + 20 * 9 + 1, 3)
    assert torch.equal(resized(batch), torch.stack([resized_crop(mapped, box, False, 16) for box in boxes]))
    assert np.array_equal(np.fromfile(tmp_path / "pixels", np.uint8).reshape(pixels.shape), pixels)


def test_no_group_is_larger_than_its_bound_nor_filled_up_to_over_twice_a_height(monkeypatch) -> None:
    monkeypatch.setattr(of_crops, "_MOST_PIXELS", 100 * 8)
    heights = [30, 3, 90, 14, 200, 41, 30, 7, 28]
    batch = Crops.of([Crop(torch.zeros(height, 5, 3, dtype=torch.uint8), False) for height in heights], 8)
    ordered = sorted(heights)
    groups = [ordered[group.crops] for group in batch.groups]
    assert groups == [[3], [7, 14], [28, 30, 30], [41], [90], [200]]
    assert [group.rows for group in batch.groups] == [max(group) for group in groups]
