"""Labels that don't fit are refused when data are opened, with the image's name."""

from dataclasses import replace

import pytest

from bissl_ray.data import DataChoice, Labelled, open_data
from bissl_ray.data.datasets import digits, registry
from bissl_ray.data.files.sources import TensorImages
from bissl_ray.data.spec import UNCERTAIN
from bissl_ray.errors import BadInputError
from tests.training import several_labels


def opened(monkeypatch, spec, split, labels_of):
    """Open the digits with other labels in one split."""

    def read(folder, choice):
        splits = spec.reader(folder, choice)
        part = getattr(splits, split)
        images = TensorImages(part.images.images, "digits of this test")
        return replace(splits, **{split: Labelled(images, labels_of(list(part.targets)))})

    monkeypatch.setitem(registry.DATASETS, "changed", replace(spec, name="changed", reader=read))
    return open_data(DataChoice("changed"))


def with_third(label):
    return lambda labels: [*labels[:3], label, *labels[4:]]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("label", [-1, 10, (1, 0)])
def test_a_class_that_is_not_there_is_refused(monkeypatch, split, label):
    said = r"digits of this test, number 3: its label is .*, but .* has 10 classes, 0 to 9; correct its annotation"
    with pytest.raises(BadInputError, match=said):
        opened(monkeypatch, digits.SPEC, split, with_third(label))


@pytest.mark.parametrize("label", [3, (1, 0, 1), (1, 0, 2, 0), (1, 0, 0, 0, 0)])
def test_a_label_of_several_classes_has_a_number_for_each(monkeypatch, label):
    with pytest.raises(
        BadInputError, match=r"number 3: its label is .*Attributes has 4 classes and each image a number"
    ):
        opened(monkeypatch, several_labels.SPEC, "train", with_third(label))


def test_a_split_that_shows_nothing_is_refused(monkeypatch):
    def none(labels):
        return [(0, 0, UNCERTAIN, 0)] * len(labels)

    with pytest.raises(BadInputError, match=r"Attributes \('changed'\): none of its 300 validation images shows"):
        opened(monkeypatch, several_labels.SPEC, "validation", none)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_without_images_is_refused(monkeypatch, split):
    def read(folder, choice):
        splits = digits.SPEC.reader(folder, choice)
        return replace(splits, **{split: splits.test.select([])})

    monkeypatch.setitem(registry.DATASETS, "changed", replace(digits.SPEC, name="changed", reader=read))
    with pytest.raises(BadInputError, match=rf"'changed'\) leaves no image for {split}: .*\b0 {split}"):
        open_data(DataChoice("changed"))


def test_a_task_brings_a_check_of_its_own(monkeypatch):
    def check(splits, spec):
        raise BadInputError(f"{spec.name} has {splits.train.targets[3]}")

    boxes = replace(digits.SPEC, task="boxes", check=check)
    with pytest.raises(BadInputError, match=r"^changed has \(0\.5, 'a'\)$"):
        opened(monkeypatch, boxes, "train", with_third((0.5, "a")))
    # Without one, a task of its own has any target.
    assert opened(monkeypatch, replace(boxes, check=None), "train", with_third(None)).train.targets[3] is None


def test_classes_must_be_told(monkeypatch):
    def read(folder, choice):
        return replace(digits.SPEC.reader(folder, choice), classes=None)

    monkeypatch.setitem(registry.DATASETS, "changed", replace(digits.SPEC, name="changed", reader=read))
    with pytest.raises(BadInputError, match=r"'changed'\) tells no classes, which the task classification needs"):
        open_data(DataChoice("changed"))


def test_labels_that_fit_are_left_alone(monkeypatch):
    splits = opened(monkeypatch, several_labels.SPEC, "train", list)
    assert splits.train.targets[0] == several_labels.label_of(digits.SPEC.open(None).train.targets[0])
