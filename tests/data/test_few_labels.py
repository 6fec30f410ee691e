"""Few labels, few unlabelled images: nested, balanced, seeded; the pool and the held-out images stay what they are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bissl_ray.config.data_choice import DataChoice, Decoding
from bissl_ray.data import DatasetSplits, get_dataset, open_data
from bissl_ray.data.files.changed import decoded
from bissl_ray.data.spec import Images, Labelled
from bissl_ray.errors import BadInputError
from bissl_ray.training.stages.pretrain import pretrained_path
from tests.data.tiny import write_tiny
from tests.training.small_trial import settings

DIGITS = DataChoice("digits")
OF_DIGITS = ("d1f8ca7e9aa47e4b85d3c8f6d62765b739ccc6c0f5c2f486e4384cb632ae5728",) * 2
LABELLED_OF_DIGITS = ("64ae2c8bce993fa12825c8f82ae1b50a0a5a378365ab242638def6e014f47298",) * 2
"""As they were before labels could be left out."""


def names(source: Images | Labelled) -> list[str]:
    return [source.name(index) for index in range(len(source))]


def labelled(number: int | None, choice: DataChoice = DIGITS, **changes: object) -> DatasetSplits:
    return open_data(replace(choice, labels_per_class=number, **changes))


def refusal(choice: DataChoice) -> str:
    with pytest.raises(BadInputError) as caught:
        open_data(choice)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(params=["digits", "fashion_mnist", "stl10", "cars", "caltech101", "folder"])
def choice(request: pytest.FixtureRequest, tmp_path: Path) -> DataChoice:
    """Of datasets in memory, mapped and in files; with images published without labels, too."""
    name = request.param
    return DataChoice(name, data_dir=None if name == "digits" else str(write_tiny(name, tmp_path)))


def test_without_a_number_everything_is_as_it_was() -> None:
    splits = open_data(DIGITS)
    assert (splits.fingerprint, splits.of_pretext) == OF_DIGITS
    assert (splits.labelled_fingerprint, splits.of_split) == LABELLED_OF_DIGITS
    assert splits.train.targets == get_dataset("digits").open(None).train.targets and len(splits.train) == 100
    assert splits.labelled_pool is None


def test_labels_are_balanced_nested_and_seeded(choice: DataChoice) -> None:
    whole, few, more = (labelled(number, choice) for number in (None, 1, 3))
    for splits, number in ((few, 1), (more, 3)):
        assert np.bincount(splits.train.targets).tolist() == [number] * splits.classes
        known = {**dict(zip(names(whole.train), whole.train.targets, strict=True))}
        of_pool = set(names(whole.pretext))
        for name, target in zip(names(splits.train), splits.train.targets, strict=True):
            assert name in of_pool and known.get(name, target) == target
    assert set(names(few.train)) < set(names(more.train))
    again, other = labelled(3, choice), labelled(3, choice, split_seed=1)
    assert names(again.train) == names(more.train) and again.fingerprint == more.fingerprint
    assert names(other.train) != names(more.train) and other.fingerprint != more.fingerprint


def test_pool_and_held_out_images_do_not_change(choice: DataChoice) -> None:
    whole, few = labelled(None, choice), labelled(2, choice)
    for part in ("pretext", "validation", "test"):
        assert names(few.images(part)) == names(whole.images(part))
    assert few.fingerprint != whole.fingerprint and few.labelled_fingerprint != whole.labelled_fingerprint
    assert few.of_pretext == whole.fingerprint and few.of_split == whole.labelled_fingerprint
    assert len({labelled(number, choice).fingerprint for number in (None, 1, 2, 3)}) == 4


def test_a_labelled_image_of_digits_keeps_its_label() -> None:
    from sklearn.datasets import load_digits

    splits, digits = labelled(50), load_digits()
    for name, target in zip(names(splits.train), splits.train.targets, strict=True):
        assert digits.target[int(name.rpartition(" ")[2])] == target


def test_a_smaller_pool_is_nested_and_has_the_labelled_images(choice: DataChoice) -> None:
    whole = labelled(1, choice)
    sizes = [len(whole.train), len(whole.train) + 3, len(whole.pretext) - 1]
    pools = [open_data(replace(choice, labels_per_class=1, unlabelled_images=size)) for size in sizes]
    seen = [set(names(splits.pretext)) for splits in pools]
    assert [len(pool) for pool in seen] == sizes
    assert set(names(whole.train)) == seen[0] < seen[1] < seen[2] < set(names(whole.pretext))
    assert all(names(splits.train) == names(whole.train) for splits in pools)
    assert len({*(splits.fingerprint for splits in pools), whole.fingerprint}) == 4
    assert len({*(splits.of_pretext for splits in pools), whole.of_pretext}) == 4
    # A pool has the order of the whole one.
    order = names(whole.pretext)
    assert names(pools[2].pretext) == [name for name in order if name in seen[2]]


def test_one_pool_serves_every_number_of_labels() -> None:
    few, more = (labelled(number, unlabelled_images=600) for number in (1, 10))
    assert names(few.pretext) == names(more.pretext) and few.of_pretext == more.of_pretext
    assert few.fingerprint != more.fingerprint
    assert labelled(None, unlabelled_images=900).fingerprint == OF_DIGITS[0]


def test_pretraining_is_shared_by_runs_that_differ_in_labels_alone() -> None:
    def path(splits: DatasetSplits) -> str:
        return pretrained_path(settings(), "digits", splits.of_pretext, 0)

    before = pretrained_path(settings(), "digits", OF_DIGITS[0], 0)
    assert {path(labelled(number)) for number in (None, 1, 3)} == {before}
    smaller = {path(labelled(number, unlabelled_images=600)) for number in (1, 3)}
    assert len(smaller) == 1 and before not in smaller
    assert path(labelled(1, split_seed=1)) != before


def test_how_images_are_decoded_is_said_of_the_pool_as_well(tmp_path: Path) -> None:
    choice = DataChoice("cars", data_dir=str(write_tiny("cars", tmp_path)))
    whole, few = (decoded(labelled(number, choice), Decoding(32)) for number in (None, 1))
    assert few.of_pretext == whole.fingerprint != labelled(None, choice).fingerprint
    assert few.fingerprint not in (whole.fingerprint, labelled(1, choice).fingerprint)


def test_another_datasets_images_for_the_pretext(tmp_path: Path) -> None:
    """The labelled images have no part in their number."""
    other = replace(DIGITS, data_dir=str(write_tiny("cars", tmp_path)), pretext_dataset="cars")
    whole, few = (labelled(number, other) for number in (None, 3))
    assert names(few.train) == names(labelled(3).train)
    assert few.labelled_fingerprint == labelled(3).labelled_fingerprint
    assert few.of_pretext == whole.fingerprint != few.fingerprint
    smaller = [open_data(replace(other, unlabelled_images=size, labels_per_class=3)) for size in (4, 9)]
    assert [len(splits.pretext) for splits in smaller] == [4, 9]
    assert set(names(smaller[0].pretext)) < set(names(smaller[1].pretext)) < set(names(whole.pretext))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"labels_per_class": 90}, "--labels-per-class 90: class 0 of Digits has 89 training images; give 89 or fewer"),
        ({"labels_per_class": 0}, "--labels-per-class 0: expected 1 or more"),
        ({"unlabelled_images": 0}, "--unlabelled-images 0: expected 1 or more"),
        (
            {"unlabelled_images": 901},
            "--unlabelled-images 901: the pretext's pool of Digits has 900 images; give fewer",
        ),
        ({"unlabelled_images": 99}, "--unlabelled-images 99: 100 images of Digits are labelled, and the pretext sees"),
        (
            {"dataset": "digits_scenes", "labels_per_class": 1},
            "--labels-per-class 1: images of Digit scenes are labelled for detection, not each with one class",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], told: str) -> None:
    assert refusal(replace(DIGITS, **changes)).startswith(told)


def test_images_of_several_classes_are_refused(tmp_path: Path) -> None:
    choice = DataChoice("voc07", data_dir=str(write_tiny("voc07", tmp_path)), labels_per_class=1)
    assert "labelled for multi_label, not each with one class" in refusal(choice)


def test_a_class_with_few_images_is_named(tmp_path: Path) -> None:
    choice = DataChoice("cars", data_dir=str(write_tiny("cars", tmp_path)), labels_per_class=9)
    assert "--labels-per-class 9: class " in refusal(choice) and "training images; give" in refusal(choice)


@pytest.mark.slow
def test_scenes_may_have_a_smaller_pool() -> None:
    whole = open_data(DataChoice("digits_scenes"))
    size = len(whole.train) + 10
    splits = open_data(DataChoice("digits_scenes", unlabelled_images=size))
    assert len(splits.pretext) == size and set(names(whole.train)) < set(names(splits.pretext))


def test_another_draw_labels_other_images_of_the_same_pool(choice: DataChoice) -> None:
    """Nested and balanced as the first draw is; whatever the pretext and the held-out images are, they stay."""
    own, first, again = (labelled(1, choice, label_draw=draw) for draw in (None, 1, 1))
    several = [labelled(1, choice, label_draw=draw) for draw in range(1, 5)]
    assert names(first.train) == names(again.train) and first.fingerprint == again.fingerprint
    assert len({splits.fingerprint for splits in [own, *several]}) == 5
    assert len({splits.labelled_fingerprint for splits in [own, *several]}) == 5
    assert len({frozenset(names(splits.train)) for splits in [own, *several]}) > 1
    for splits in several:
        assert np.bincount(splits.train.targets).tolist() == [1] * splits.classes
        assert (splits.of_pretext, splits.of_split) == (own.of_pretext, own.of_split)
        for part in ("pretext", "validation", "test"):
            assert names(splits.images(part)) == names(own.images(part))
    assert set(names(first.train)) < set(names(labelled(3, choice, label_draw=1).train))


def test_another_draw_is_of_a_smaller_pool() -> None:
    """So that all draws start from the same pretraining, whose pretext has seen each labelled image."""
    own = labelled(3, unlabelled_images=200)
    for draw in range(1, 6):
        splits = labelled(3, unlabelled_images=200, label_draw=draw)
        assert splits.of_pretext == own.of_pretext and names(splits.pretext) == names(own.pretext)
        assert set(names(splits.train)) <= set(names(own.pretext)) and names(splits.train) != names(own.train)


def test_another_draw_beside_another_datasets_pretext(tmp_path: Path) -> None:
    other = replace(DIGITS, data_dir=str(write_tiny("cars", tmp_path)), pretext_dataset="cars", unlabelled_images=4)
    assert names(labelled(3, other, label_draw=2).train) == names(labelled(3, label_draw=2).train)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"label_draw": 2}, "--label-draw 2 draws some of the labels: add --labels-per-class N, or leave it out"),
        ({"label_draw": 0, "labels_per_class": 3}, "--label-draw 0: expected 1 or more"),
    ],
)
def test_draws_that_cannot_be(changes: dict[str, object], told: str) -> None:
    assert refusal(replace(DIGITS, **changes)).startswith(told)


def test_a_pool_with_labels_throughout_has_one_draw() -> None:
    assert names(labelled(10, unlabelled_images=100, label_draw=1).train) == names(labelled(10).train)
