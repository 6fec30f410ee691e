"""What a detector is fed: boxes move with the image, and a batch holds images of several sizes."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from bissl_ray.config.settings import Settings
from bissl_ray.data import get_dataset
from bissl_ray.data.files.sources import TensorImages
from bissl_ray.data.loaders import OfPair, Samples, endless_batches, evaluation_batches
from bissl_ray.data.nested import each_tensor
from bissl_ray.data.objects import Objects
from bissl_ray.data.sampling import Share, Stream
from bissl_ray.data.spec import Labelled
from bissl_ray.downstream.detection.located import Located
from bissl_ray.downstream.detection.samples import (
    SIDE_MULTIPLE,
    Sample,
    Scenes,
    collate,
    evaluation_sample,
    train_sample,
)
from bissl_ray.errors import BadInputError

pytestmark = pytest.mark.slow

SPEC = replace(get_dataset("cars"), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
GREY = get_dataset("digits")
PAINTED = [(10, 20, 58, 52), (70, 8, 110, 72), (30, 60, 60, 78)]
"""Rectangles in an image of 120 x 80, one in each of the colours red, green and blue."""


def settings(side: int = 80, low: int | None = None, crop: float = 1.0) -> Settings:
    return Settings(detection_side=side, detection_side_low=side if low is None else low, detection_crop=crop)


def objects(corners: Any, height: int, width: int, **more: Any) -> Objects:
    boxes = np.array(corners, np.float64).reshape(-1, 4)
    flags = np.zeros(len(boxes), np.bool_)
    facts: dict[str, Any] = {
        "boxes": boxes / [width, height, width, height],
        "classes": np.arange(len(boxes)),
        "crowd": flags,
        "difficult": flags,
        "areas": np.arange(len(boxes)) + 0.5,
        "image_id": "a.jpg",
    }
    return Objects(**{**facts, "height": height, "width": width, **more})


def painted(scale: int = 1) -> tuple[Tensor, Objects]:
    """An image with the rectangles `PAINTED`, and its annotation, of an image as many times larger as `scale` says."""
    image = torch.zeros(3, 80, 120, dtype=torch.uint8)
    for channel, (left, top, right, bottom) in enumerate(PAINTED):
        image[channel, top:bottom, left:right] = 255
    return image, objects(np.array(PAINTED) * scale, 80 * scale, 120 * scale)


def seen(channel: Tensor) -> list[float]:
    """The box of what is bright in a channel, to a fraction of a pixel where its edges are smoothed."""
    rows, columns = channel.amax(1), channel.amax(0)

    def ends(line: Tensor) -> tuple[float, float]:
        lit = (line > 0.02).nonzero().flatten()
        first, last = int(lit[0]), int(lit[-1])
        return first + 1 - float(line[first]), last + float(line[last])

    (left, right), (top, bottom) = ends(columns), ends(rows)
    return [left, top, right, bottom]


def assert_painted_where_boxed(sample: Sample) -> None:
    for box, colour in zip(sample.boxes.tolist(), sample.classes.tolist(), strict=True):
        assert seen(sample.image[colour]) == pytest.approx(box, abs=1.0)


def samples_of(prepare: Any, image: Any, target: Objects, count: int) -> Iterator[Sample]:
    for seed in range(count):
        torch.manual_seed(seed)
        yield prepare(image, target)


@pytest.mark.parametrize("scale", [1, 4], ids=["as annotated", "reduced"])
@pytest.mark.parametrize("side", [80, 53, 131])
@pytest.mark.parametrize("crop", [1.0, 0.5])
def test_boxes_move_with_the_image(side: int, crop: float, scale: int) -> None:
    image, target = painted(scale)
    mirrored, found = 0, 0
    for sample in samples_of(train_sample(SPEC, settings(side, side // 2, crop)), image, target, 30):
        assert_painted_where_boxed(sample)
        assert sample.areas.tolist() == [colour + 0.5 for colour in sample.classes.tolist()]
        assert sample.annotated.tolist() == [80 * scale, 120 * scale]
        found += len(sample.classes)
        mirrored += sample.classes.tolist()[:2] == [0, 1] and bool(sample.boxes[0, 0] > sample.boxes[1, 0])
    assert (found == 90) == (crop == 1) and found > 45 and 0 < mirrored < 30


def test_what_is_scored_is_the_whole_image_and_nothing_of_it_random() -> None:
    image, target = painted()
    one, other = samples_of(evaluation_sample(SPEC, settings(40)), image, target, 2)
    assert all(map(torch.equal, one, other)) and one.key == 0
    assert one.image.shape == (3, 40, 60)
    assert one.boxes.tolist() == (np.array(PAINTED) / 2).tolist()
    assert_painted_where_boxed(one)


def test_what_cannot_be_mirrored_is_not_and_without_a_crop_only_scale_and_key_are_drawn() -> None:
    image, target = painted()
    torch.manual_seed(0)
    drawn = train_sample(replace(SPEC, horizontal_flip=False), settings(80, 40))(image, target)
    torch.manual_seed(0)
    side = int(torch.randint(40, 81, ()))
    assert drawn.key == torch.randint(2**62, ()) and drawn.image.shape == (3, side, round(side * 1.5))


@pytest.mark.parametrize(("centre", "stays"), [(47, True), (53, False)])
def test_a_crop_keeps_the_objects_whose_centre_it_holds_and_clips_them(centre: int, stays: bool) -> None:
    target = objects([(centre - 10, 20, centre + 10, 40)], 60, 100)
    part = Located.of(torch.zeros(3, 60, 100, dtype=torch.uint8), target).cropped(10, 25, 30, 40)
    expected = [[centre - 20, 0, 40, 15]]
    assert part.image.shape == (3, 30, 40) and part.boxes.tolist() == (expected if stays else [])


def test_flags_stay_with_their_objects_and_what_has_no_area_left_is_dropped_in_training_alone() -> None:
    flags = {"crowd": np.array([True, False, False]), "difficult": np.array([False, False, True])}
    target = objects([(0, 0, 50, 50), (60, 60, 60.001, 90), (20, 20, 90, 90)], 100, 100, **flags)
    image = torch.zeros(3, 100, 100, dtype=torch.uint8)
    trained = train_sample(SPEC, settings(100))(image, target)
    scored = evaluation_sample(SPEC, settings(100))(image, target)
    assert trained.classes.tolist() == [0, 2] and scored.classes.tolist() == [0, 1, 2]
    assert trained.crowd.tolist() == [True, False] and trained.difficult.tolist() == [False, True]
    assert [len(member) for member in trained[1:6]] == [2] * 5


@pytest.mark.parametrize("make", [train_sample, evaluation_sample])
def test_an_image_without_objects(make: Any) -> None:
    sample = make(SPEC, settings(32, crop=0.5))(torch.zeros(3, 40, 40, dtype=torch.uint8), objects([], 40, 40))
    assert sample.boxes.shape == (0, 4) and all(len(member) == 0 for member in sample[1:6])
    batch = collate([sample, sample])
    assert batch.counts.tolist() == [0, 0] and batch.boxes.shape == (0, 4) and batch.classes.dtype == torch.int64


@pytest.mark.parametrize(
    ("height", "width", "low", "high"),
    [(375, 500, 32, 60), (500, 375, 32, 60), (100, 100, 48, 48), (40, 400, 30, 60), (1000, 20, 30, 60), (3, 5, 31, 31)],
)
def test_the_shorter_side_is_drawn_and_the_longer_is_at_most_five_thirds_of_it(
    height: int, width: int, low: int, high: int
) -> None:
    image, target = torch.zeros(3, height, width, dtype=torch.uint8), objects([(0, 0, width, height)], height, width)
    sides = set()
    for sample in samples_of(train_sample(SPEC, settings(high, low)), image, target, 60):
        shape = sample.image.shape[1:]
        ((left, top, right, bottom),) = sample.boxes.tolist()
        assert (left, top) == (0, 0) and 0 <= shape[1] - right < 1e-4 and 0 <= shape[0] - bottom < 1e-4
        scale = max(shape) / max(height, width)
        assert min(shape) == pytest.approx(max(1, scale * min(height, width)), abs=0.51)
        sides.add(min(shape) if max(height, width) * 3 <= 5 * min(height, width) else max(shape))
    cut = max(height, width) * 3 > 5 * min(height, width)
    allowed = {side * 5 // 3 for side in range(low, high + 1)} if cut else {*range(low, high + 1)}
    assert sides <= allowed and len(sides) > len(allowed) // 2


def test_normalised_as_the_dataset_says_and_grey_stays_grey() -> None:
    image = torch.full((3, 8, 8), 51, dtype=torch.uint8)
    for make in (train_sample, evaluation_sample):
        sample = make(GREY, settings(32))(image, objects([], 8, 8))
        expected = torch.full((3, 32, 32), (0.2 - GREY.mean[0]) / GREY.std[0])
        assert sample.image.dtype == torch.float32 and torch.allclose(sample.image, expected, atol=1e-6)


@pytest.mark.parametrize("make", [train_sample, evaluation_sample])
def test_a_file_decoded_now_and_one_kept_decoded_give_the_same_bits(make: Any) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (90, 120, 3)).astype(np.uint8)
    kept, target = torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), objects([(5, 5, 50, 80)], 90, 120)
    prepare = pickle.loads(pickle.dumps(make(SPEC, settings(64, 40, 0.6))))
    for one, other in zip(
        samples_of(prepare, Image.fromarray(pixels), target, 8), samples_of(prepare, kept, target, 8), strict=True
    ):
        assert all(map(torch.equal, one, other))


@pytest.mark.parametrize(
    ("found", "fits"),
    [
        ((375, 500), True),
        ((66, 88), True),
        ((67, 89), True),
        ((500, 375), False),
        ((374, 500), False),
        ((88, 66), False),
        ((75, 80), False),
    ],
)
def test_an_image_of_another_shape_than_the_annotated_is_refused(found: tuple[int, int], fits: bool) -> None:
    target = objects([(0, 0, 9, 9)], 375, 500, image_id="VOC2007/000012.jpg")
    for make in (train_sample, evaluation_sample):
        prepare, image = make(SPEC, settings()), torch.zeros(3, *found, dtype=torch.uint8)
        if fits:
            prepare(image, target)
            continue
        with pytest.raises(BadInputError) as caught:
            prepare(image, target)
        said = str(caught.value)
        assert said.startswith("VOC2007/000012.jpg: annotated as 500 x 375 pixels") and "\n" not in said
        assert f"is {found[1]} x {found[0]};" in said and "--set exif_orientation=false" in said


def test_a_batch_is_padded_on_the_right_and_at_the_bottom_to_whole_multiples() -> None:
    image, target = painted()
    one = evaluation_sample(SPEC, settings(40))(image, target)
    other = evaluation_sample(SPEC, settings(66))(image.transpose(1, 2), objects([(1, 2, 3, 4)], 120, 80))
    batch = collate([one, other])
    assert batch.images.shape == (2, 3, 4 * SIDE_MULTIPLE, 3 * SIDE_MULTIPLE)
    assert batch.sizes.tolist() == [[40, 60], [99, 66]] and batch.annotated.tolist() == [[80, 120], [120, 80]]
    assert torch.equal(batch.images[0, :, :40, :60], one.image)
    assert torch.equal(batch.images[1, :, :99, :66], other.image)
    assert not batch.images[0, :, 40:].any() and not batch.images[0, :, :, 60:].any()
    assert batch.counts.tolist() == [3, 1] and batch.classes.tolist() == [0, 1, 2, 0]
    assert torch.equal(batch.boxes.split(batch.counts.tolist())[1], other.boxes)
    assert [member.dtype for member in batch] == [
        torch.float32, torch.int64, torch.int64, torch.int64, torch.float64,
        torch.int64, torch.bool, torch.bool, torch.float64, torch.int64,
    ]  # fmt: skip
    assert isinstance(each_tensor(batch, Tensor.clone), Scenes)


@pytest.fixture(scope="module")
def labelled() -> Labelled:
    pixels = np.random.RandomState(1).randint(0, 256, (12, 3, 60, 80)).astype(np.uint8)
    targets = [objects([(5 * n, 5, 5 * n + 20, 40)] * (n % 3), 60, 80) for n in range(12)]
    return Labelled(TensorImages(torch.from_numpy(pixels)), targets)


def taken(labelled: Labelled, count: int, share: Share, processes: int) -> list[Scenes]:
    samples = Samples(labelled, OfPair(train_sample(SPEC, settings(48, 32, 0.7))), collate)
    batches = endless_batches(samples, Stream("train", 3, 4), share, processes)
    drawn = list(islice(batches, count))
    batches.close()
    return drawn


def apart(batches: list[Scenes]) -> list[tuple[Any, ...]]:
    """Each image of some batches by itself, its padding cut off."""
    return [
        (scenes.keys[place].item(), scenes.images[place, :, :height, :width].tolist(), boxes.tolist())
        for scenes in batches
        for place, ((height, width), boxes) in enumerate(
            zip(scenes.sizes.tolist(), scenes.boxes.split(scenes.counts.tolist()), strict=True)
        )
    ]


@pytest.mark.parametrize(("workers", "processes"), [(1, 2), (2, 0), (2, 2)])
def test_any_number_of_workers_and_loader_processes_draw_the_same(
    labelled: Labelled, workers: int, processes: int
) -> None:
    alone = apart(taken(labelled, 4, Share(), 0))
    shares = [taken(labelled, 4, Share(rank, workers), processes) for rank in range(workers)]
    assert apart([part for step in zip(*shares, strict=True) for part in step]) == alone
    assert len({key for key, _, _ in alone}) == len(alone) == 16


def test_every_image_is_scored_once_on_any_number_of_workers(labelled: Labelled) -> None:
    samples = Samples(labelled, OfPair(evaluation_sample(SPEC, settings(48))), collate)
    alone, *shares = (
        [scenes for rank in range(workers) for scenes in evaluation_batches(samples, 6, Share(rank, workers))]
        for workers in (1, 2, 3)
    )
    assert all(apart(share) == apart(alone) for share in shares) and len(apart(alone)) == 12
