"""Digit scenes: boxes hold the digits tightly, no scan is in two splits, and a seed draws the same pixels anywhere."""

from typing import Any

import numpy as np
import pytest
import torch

from bissl_ray.data import DatasetSplits, SplitChoice, get_dataset
from bissl_ray.data.datasets import digits
from bissl_ray.data.datasets.scene_drawing import SIDE, Drawn, draw_scenes
from bissl_ray.data.files.sources import leaves
from bissl_ray.data.objects import Objects
from bissl_ray.data.spec import SPLITS

pytestmark = pytest.mark.slow

SCENES = get_dataset("digits_scenes")


@pytest.fixture(scope="module")
def splits() -> DatasetSplits:
    return SCENES.open(None)


@pytest.fixture(scope="module")
def drawn() -> list[Drawn]:
    return list(draw_scenes(digits.split_scans(SplitChoice(), "digits").grey, 200, "these tests"))


def pixels(splits: DatasetSplits, split: str) -> bytes:
    images = splits.images(split)
    return b"".join(images[index].numpy().tobytes() for index in range(len(images)))


def test_sizes_and_targets(splits: DatasetSplits) -> None:
    assert [len(splits.images(split)) for split in SPLITS] == [600, *(SCENES.sizes or ())]
    assert splits.classes == SCENES.classes == 10 and splits.class_names == tuple("0123456789")
    image, objects = splits.train[17]
    assert image.shape == (3, SIDE, SIDE) and image.dtype == torch.uint8 and torch.equal(image[0], image[2])
    assert isinstance(objects, Objects) and objects.image_id == "digits_scenes, train 17"
    assert (objects.height, objects.width) == (SIDE, SIDE)
    sides = (objects.boxes[:, 2:] - objects.boxes[:, :2]) * SIDE
    assert objects.areas.tolist() == sides.prod(axis=1).tolist()
    assert not objects.crowd.any() and not objects.difficult.any()


def test_the_pretext_sees_the_training_scenes_and_more_of_no_other_name(splits: DatasetSplits) -> None:
    train, more = leaves(splits.pretext)
    assert train is splits.train.images and len(more) == 360
    names = [splits.images(split).name(index) for split in SPLITS for index in range(len(splits.images(split)))]
    assert len(set(names)) == len(names) - len(train)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_every_class_is_shown_about_as_often(splits: DatasetSplits, part: str) -> None:
    targets = getattr(splits, part).targets
    shares = np.bincount(np.concatenate([objects.classes for objects in targets])) / sum(
        len(objects.classes) for objects in targets
    )
    assert np.allclose(shares, 0.1, atol=0.02)
    assert {len(objects.classes) for objects in targets} == {2, 3, 4, 5}


@pytest.mark.parametrize(
    ("own", "changed"), [("pool", {"pretext", "train"}), ("validation", {"validation"}), ("test", {"test"})]
)
def test_no_scan_is_in_two_splits(
    splits: DatasetSplits, monkeypatch: pytest.MonkeyPatch, own: str, changed: set[str]
) -> None:
    (grey, labels), scans = digits.read_scans(), digits.split_scans(SplitChoice(), "digits")
    # Turned by half, the scans for one purpose change the scenes for that purpose, and no others.
    grey[getattr(scans, own)] = grey[getattr(scans, own), ::-1, ::-1].copy()
    monkeypatch.setattr(digits, "read_scans", lambda: (grey, labels))
    other = SCENES.open(None)
    assert {split for split in SPLITS if pixels(other, split) != pixels(splits, split)} == changed
    assert other.fingerprint != splits.fingerprint and other.labelled_fingerprint != splits.labelled_fingerprint


def test_a_seed_draws_the_same_anywhere_and_another_seed_all_but_the_test_scenes_anew(splits: DatasetSplits) -> None:
    other = SCENES.open(None, SplitChoice(1))
    assert [split for split in SPLITS if pixels(other, split) == pixels(splits, split)] == ["test"]
    assert other.test.targets == splits.test.targets and other.validation.targets != splits.validation.targets
    # Others would be other data under one name: nothing drawn before could be compared with what is drawn since.
    assert [splits.fingerprint[:16], other.fingerprint[:16]] == ["3b9f305b3dea9dfa", "99132446e2abd81d"]


def test_boxes_hold_the_inked_pixels_tightly(drawn: list[Drawn]) -> None:
    for scene in drawn:
        boxed = np.zeros_like(scene.inked)
        for left, top, right, bottom in scene.boxes.tolist():
            ink = scene.inked[top:bottom, left:right]
            boxed[top:bottom, left:right] = True
            assert ink[0].any() and ink[-1].any() and ink[:, 0].any() and ink[:, -1].any()
            assert ink.shape == (bottom - top, right - left) and 9 <= bottom - top <= 30
        assert not (scene.inked & ~boxed).any()
        assert scene.pixels[scene.inked].mean() > scene.pixels[~scene.inked].mean() + 50


def test_two_to_five_digits_that_hardly_overlap(drawn: list[Drawn]) -> None:
    assert {len(scene.scans) for scene in drawn} == {2, 3, 4, 5}
    for scene in drawn:
        boxes = scene.boxes
        lower = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
        upper = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
        shared = (upper - lower).clip(0).prod(axis=2)
        areas = np.diagonal(shared)
        assert (shared * 10 <= np.minimum(areas[:, None], areas) + 10 * np.diag(areas)).all()


def test_every_scan_is_shown_before_any_is_shown_again() -> None:
    grey = digits.split_scans(SplitChoice(), "digits").grey[:20]
    shown = [number for scene in draw_scenes(grey, 40, "in turn") for number in scene.scans]
    counts = np.bincount(shown, minlength=20)
    assert counts.min() >= counts.max() - 3 > 0, "but for the few that found no room"


def test_a_scan_that_fills_its_frame_is_enlarged_whole() -> None:
    full: Any = np.full((1, 8, 8), 16)
    heights = [box[3] - box[1] for scene in draw_scenes(full, 60, "full") for box in scene.boxes.tolist()]
    assert min(heights) >= 12 and max(heights) <= 30
