"""Objects that don't fit are refused when data are opened, with the image's name."""

from dataclasses import replace

import numpy as np
import pytest

from bissl_ray.data import DataChoice, Labelled, open_data
from bissl_ray.data.datasets import digits_scenes, registry
from bissl_ray.errors import BadInputError

SCENES = digits_scenes.SPEC.open(None)


def open_changed(monkeypatch, split, change):
    """Open the digit scenes with other objects in one split."""
    splits = SCENES

    def read(folder, choice):
        part = getattr(splits, split)
        changed = [change(place, objects) for place, objects in enumerate(part.targets)]
        return replace(splits, **{split: Labelled(part.images, changed)})

    monkeypatch.setitem(registry.DATASETS, "changed", replace(digits_scenes.SPEC, name="changed", reader=read))
    return open_data(DataChoice("changed"))


@pytest.mark.parametrize(
    ("field", "first", "told"),
    [
        ("boxes", [0.5, 0.1, 0.5, 0.9], "has its box at 0.5, 0.1, 0.5, 0.9, expected left, top"),
        ("boxes", [0.5, 0.9, 0.7, 0.1], "has its box at"),
        ("boxes", [-0.1, 0.1, 0.5, 0.9], "has its box at -0.1"),
        ("boxes", [0.1, 0.1, 1.1, 0.9], "has its box at"),
        ("boxes", [0.1, 0.1, np.nan, 0.9], "has its box at 0.1, 0.1, nan"),
        ("classes", 10, "is of class 10, but there are 10, 0 to 9"),
        ("classes", -1, "is of class -1"),
    ],
)
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_one_that_is_not_in_its_image_or_of_no_class_is_refused(monkeypatch, split, field, first, told) -> None:
    def change(place, objects):
        values = getattr(objects, field).copy()
        values[1 if place == 3 else 0] = first if place == 3 else values[0]
        return objects._replace(**{field: values})

    with pytest.raises(BadInputError, match=rf"number 3: its object 2 {told}.*; correct its annotation"):
        open_changed(monkeypatch, split, change)


@pytest.mark.parametrize("mark", ["crowd", "difficult"])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_needs_an_object_that_is_scored(monkeypatch, split, mark) -> None:
    def change(place, objects):
        return objects._replace(**{mark: np.ones(len(objects.classes), np.bool_)})

    with pytest.raises(BadInputError, match=rf"none of its \d+ {split} images shows an object that is neither"):
        open_changed(monkeypatch, split, change)


def test_objects_that_fit_are_left_alone(monkeypatch) -> None:
    splits = open_changed(monkeypatch, "train", lambda place, objects: objects)
    assert splits.train.targets == SCENES.train.targets
