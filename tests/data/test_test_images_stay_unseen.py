"""No dataset's test images reach what is trained on or chosen by, under any seed or published split."""

from pathlib import Path

import numpy as np
import pytest

from bissl_ray.data import DatasetSplits, SplitChoice, dataset_names, get_dataset
from bissl_ray.data.spec import Images, Labelled
from tests.data.batches import image_at
from tests.data.tiny import WRITERS, write_tiny


def images(source: Images | Labelled) -> dict[bytes, str]:
    """Each image's pixels, and what it is called."""
    found = {}
    for index in range(len(source)):
        image = image_at(source, index)
        pixels = np.asarray(image) if hasattr(image, "mode") else image.permute(1, 2, 0).numpy()
        found[repr(pixels.shape).encode() + pixels.tobytes()] = source.name(index)
    return found


def assert_unseen(test: dict[bytes, str], splits: DatasetSplits) -> None:
    for source in (splits.pretext, splits.train, splits.validation):
        seen = images(source)
        assert seen and not seen.keys() & test.keys()
        assert not {*seen.values()} & {*test.values()}


def test_every_dataset_has_a_tiny_copy() -> None:
    assert {*WRITERS, "digits", "digits_scenes"} == {*dataset_names()}


@pytest.mark.slow
@pytest.mark.parametrize("name", dataset_names())
def test_test_images_are_in_no_other_split(tmp_path: Path, name: str) -> None:
    spec = get_dataset(name)
    data = None if spec.embedded else write_tiny(name, tmp_path / "data")
    opened = [spec.open(data, SplitChoice(seed)) for seed in (0, 1)]
    if not spec.embedded:
        known = len(opened[0].train) + len(opened[0].validation)
        if name == "caltech101":
            # Its files count all images, class after class; those that they leave, of every class, are for test.
            counted = [index for index in range(known + len(opened[0].test)) if index % 3]
        else:
            counted = list(range(known))
        known = len(counted)
        order = np.random.RandomState(0).permutation(counted).tolist()
        for part, indices in (("train", order[: known // 2]), ("val", order[known // 2 :])):
            (tmp_path / f"{name}_{part}_split.txt").write_text("".join(f"{index}\n" for index in indices))
        opened.append(spec.open(data, SplitChoice(0, tmp_path)))
        assert {len(opened[2].train), len(opened[2].validation)} == {known // 2, known - known // 2}
    for splits in opened:
        assert_unseen(images(splits.test), splits)
        assert not images(splits.validation).keys() & {**images(splits.train), **images(splits.pretext)}.keys()
    # Across seeds as well: a checkpoint pretrained under one may be used under another.
    test = images(opened[0].test)
    assert_unseen(test, opened[1])
    assert images(opened[1].test) == test
    # Caltech 101 is published without a test split: its index files choose the test images, too.
    if len(opened) == 3 and name != "caltech101":
        assert images(opened[2].test) == test
