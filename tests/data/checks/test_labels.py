"""Labels that don't fit are refused when data are opened, with the image's name."""

from dataclasses import replace

import pytest

from bissl_ray.data import DataChoice
from bissl_ray.data.datasets import digits, registry
from bissl_ray.data.files.sources import TensorImages
from bissl_ray.data.spec import UNCERTAIN
from bissl_ray.errors import BadInputError
from tests.training import several_labels


def opened(monkeypatch, spec, split, labels_of):
    """Open the digits with other labels in one split."""

    def read(folder, choice):
        splits = spec.reader(folder, choice)
        source = getattr(splits, split)
        changed = TensorImages(source.images, labels_of(list(source.labels)), "digits of this test")
        return replace(splits, **{split: changed})

    monkeypatch.setitem(registry._SPECS, "changed", replace(spec, name="changed", reader=read))
    return DataChoice("changed").open()


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

    monkeypatch.setitem(registry._SPECS, "changed", replace(digits.SPEC, name="changed", reader=read))
    with pytest.raises(BadInputError, match=rf"'changed'\) leaves no image for {split}: .*\b0 {split}"):
        DataChoice("changed").open()


def test_labels_that_fit_are_left_alone(monkeypatch):
    splits = opened(monkeypatch, several_labels.SPEC, "train", list)
    assert splits.train.labels[0] == several_labels.label_of(digits.SPEC.open(None).train.labels[0])
