"""Our augmentation is torchvision's: for the same seed the same picture, wherever and however it is carried out."""

from dataclasses import replace
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from bissl_ray.benchmarks.torchvision_views import chained_crop, chained_views
from bissl_ray.data import get_dataset
from bissl_ray.data.augment.batched import Recipes, coloured_batch
from bissl_ray.data.augment.compiled import coloured
from bissl_ray.data.augment.draws import Colours
from bissl_ray.data.nested import each_tensor, stacked
from bissl_ray.data.photographs import pretext_views, random_crop

CARS = replace(get_dataset("cars"), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
SIZES = [(375, 500), (97, 64), (33, 140), (24, 24), (96, 96), (1, 9), (300, 20)]


def photograph(height: int, width: int, seed: int = 0) -> Tensor:
    """Smooth colours with sharp edges, greys, black and white; as the cache holds it, colour by colour of a pixel."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 12 + 2, width // 12 + 2, generator=generator) * 360 - 50
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")[0]
    smooth[:, : height // 3, : width // 3] = smooth[:1, : height // 3, : width // 3]
    image = smooth.clamp(0, 255).to(torch.uint8)
    return image.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def several(found: Any) -> tuple[Tensor, ...]:
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.slow
@pytest.mark.parametrize("mirrors", [True, False])
@pytest.mark.parametrize("side", [24, 32, 96])
def test_the_same_seed_gives_torchvisions_views_to_one_255th(side: int, mirrors: bool) -> None:
    spec = replace(CARS, horizontal_flip=mirrors)
    ours, theirs = pretext_views(spec, side), chained_views(spec, side)
    crop, chain = random_crop(spec, side), chained_crop(spec, side)
    exact = count = 0
    for number, size in enumerate(SIZES):
        image = photograph(*size, seed=number)
        for seed in range(25):
            torch.manual_seed(seed)
            expected = [view(image) for view in theirs]
            state = torch.random.get_rng_state()
            torch.manual_seed(seed)
            for view, other in zip(ours(image), expected, strict=True):
                assert view.shape == (3, side, side)
                assert ((view - other).abs() * 255).max() < 1.01
                exact, count = exact + torch.equal(view, other), count + 1
            assert torch.equal(torch.random.get_rng_state(), state)
            torch.manual_seed(seed)
            cropped = chain(image)
            torch.manual_seed(seed)
            assert torch.equal(crop(image), cropped)
    # The rest differs by a rounding of the blur, whose sums torch takes in another order.
    assert exact >= 0.8 * count


@pytest.mark.parametrize(
    ("operation", "theirs", "factors"),
    [
        (0, functional.adjust_brightness, np.linspace(0.6, 1.4, 41)),
        (1, functional.adjust_contrast, np.linspace(0.6, 1.4, 41)),
        (2, functional.adjust_saturation, np.linspace(0.8, 1.2, 41)),
        (3, functional.adjust_hue, np.linspace(-0.1, 0.1, 41)),
    ],
)
def test_each_operation_gives_the_values_of_torchvisions(operation, theirs, factors) -> None:
    image = photograph(64, 64).contiguous()
    everything = torch.randint(0, 256, (3, 64, 64), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    order = (operation, *(other for other in range(4) if other != operation))
    unchanged = Colours().factors
    for factor in factors.astype(np.float32).tolist():
        drawn = Colours(order, tuple(factor if i == operation else unchanged[i] for i in range(4)))
        for picture in (image, everything):
            # A hue that is turned by nothing is rounded all the same, as torchvision does.
            expected = theirs(picture, factor)
            for other in order[1:]:
                expected = functional.adjust_hue(expected, 0.0) if other == 3 else expected
            assert torch.equal(coloured(picture.clone(), drawn, 0), expected), factor


@pytest.mark.parametrize(
    ("drawn", "theirs"),
    [
        (Colours(grey=True), lambda image: functional.rgb_to_grayscale(image, num_output_channels=3)),
        (Colours(solarised=True), lambda image: functional.solarize(image, 128)),
        (Colours(sigma=1.7), lambda image: functional.gaussian_blur(image, [9, 9], [1.7, 1.7])),
        (Colours(sigma=0.1), lambda image: functional.gaussian_blur(image, [9, 9], [0.1, 0.1])),
    ],
)
def test_grey_blur_and_solarisation_are_torchvisions(drawn, theirs) -> None:
    image = photograph(64, 64).contiguous()
    difference = coloured(image.clone(), drawn, 9).int() - theirs(image).int()
    assert difference.abs().max() <= (1 if drawn.sigma else 0)
    assert (difference != 0).float().mean() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("make", [pretext_views, random_crop])
@pytest.mark.parametrize("side", [24, 96])
def test_a_batch_on_the_device_has_the_values_of_the_loaders(side: int, make: Any) -> None:
    transform = make(CARS, side)
    in_loader, on_device = transform.in_steps("loader"), transform.in_steps("device")
    samples: dict[str, list] = {"loader": [], "device": []}
    for seed in range(60):
        image = photograph(*SIZES[seed % len(SIZES)], seed=seed)
        for name, steps in (("loader", in_loader), ("device", on_device)):
            torch.manual_seed(seed)
            samples[name].append(steps.prepare(image))
    one = several(in_loader.finish(in_loader.collate(samples["loader"])))
    other = several(on_device.finish(on_device.collate(samples["device"])))
    assert all(torch.equal(a, b) and a.stride() == b.stride() for a, b in zip(one, other, strict=True))
    torch.manual_seed(7)
    whole = several(transform(photograph(*SIZES[7 % len(SIZES)], seed=7)))
    assert all(torch.equal(a[7], b) for a, b in zip(one, whole, strict=True))


@pytest.mark.parametrize("make", [pretext_views, random_crop])
def test_nothing_waits_for_the_device(make: Any) -> None:
    """On torch's device without memory, asking for a value fails."""
    steps = make(CARS, 32).in_steps("device")
    batch = steps.collate([steps.prepare(photograph(*size)) for size in SIZES * 3])
    for found in several(steps.finish(each_tensor(batch, lambda tensor: tensor.to("meta")))):
        assert (found.shape, found.dtype, found.device.type) == ((21, 3, 32, 32), torch.float32, "meta")


def test_images_travel_as_bytes_and_the_cache_is_not_written_to() -> None:
    image = photograph(96, 96)
    before = image.clone()
    for make in (pretext_views, random_crop):
        steps = make(replace(CARS, crop_scale=(1.0, 1.0)), 96).in_steps("loader")
        for seed in range(30):
            torch.manual_seed(seed)
            sample = steps.prepare(image)
            tensors = sample if isinstance(sample, tuple) else (sample,)
            assert all(tensor.dtype == torch.uint8 and tensor.is_contiguous() for tensor in tensors)
        on_device = make(replace(CARS, crop_scale=(1.0, 1.0)), 96).in_steps("device")
        on_device.finish(on_device.collate([on_device.prepare(image) for _ in range(9)]))
    assert torch.equal(image, before)


def test_a_file_gives_the_bits_of_the_decoded_image() -> None:
    image, views = photograph(120, 80), pretext_views(CARS, 32)
    torch.manual_seed(0)
    expected = views(image)
    torch.manual_seed(0)
    found = views(PIL.Image.fromarray(image.permute(1, 2, 0).numpy()))
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_a_batch_in_which_nothing_was_drawn_stays_as_it_is() -> None:
    batch = stacked([photograph(16, 16, seed=seed).contiguous() for seed in range(3)])
    assert torch.equal(coloured_batch(batch.clone(), Recipes.of([Colours()] * 3, 0)), batch)
