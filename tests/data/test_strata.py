"""Images that show several classes are split with fair shares of each."""

import numpy as np
import pytest

from bissl_ray.data.objects import Objects
from bissl_ray.data.strata import iterative_split, shown_classes


def drawn(images: int, classes: int, seed: int) -> list[list[int]]:
    """Some of many classes, from common to rare, to an image; some images show nothing."""
    draw = np.random.RandomState(seed)
    shares = 0.4 / np.arange(1, classes + 1)
    return [np.flatnonzero(draw.random_sample(classes) < shares).tolist() for _ in range(images)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_class_and_the_images_of_none_are_shared_out_by_size(seed: int) -> None:
    shown = drawn(3000, 20, seed)
    kept, held = iterative_split(shown, 300, seed, "validation")
    assert len(held) == 300 and sorted([*kept, *held]) == list(range(3000))
    assert sorted(held) == list(held) and sorted(kept) == list(kept)
    for shows in [*(lambda classes, c=c: c in classes for c in range(20)), lambda classes: not classes]:
        size = sum(map(shows, shown))
        assert size >= 40
        assert sum(shows(shown[image]) for image in held) == pytest.approx(size / 10, abs=max(3, 0.012 * size))


@pytest.mark.parametrize("held_out", [1, 15, 29])
def test_no_class_is_emptied(held_out: int) -> None:
    shown = [[0, 1], [0, 2], [1], [3], *drawn(26, 3, 0)]
    kept, held = iterative_split(shown, held_out, 0, "validation")
    assert {c for image in kept for c in shown[image]} == {0, 1, 2, 3}
    assert 0 < len(held) <= held_out


def test_seed_and_purpose_choose_the_split() -> None:
    shown = drawn(300, 5, 0)

    def held(seed: int, purpose: str) -> list[int]:
        return iterative_split(shown, 30, seed, purpose)[1].tolist()

    assert held(0, "validation") == held(0, "validation")
    assert held(0, "validation") != held(1, "validation")
    assert held(0, "validation") != held(0, "train")


def test_a_split_drawn_today_is_the_split_drawn_elsewhere() -> None:
    # Literal indices: a change here would silently move images between the splits of finished sweeps.
    shown = [[0], [0, 1], [1], [], [2, 0], [], [0, 1], [1], [2], [2, 1]] * 3
    assert iterative_split(shown, 6, 7, "validation")[1].tolist() == [0, 3, 6, 8, 9, 12]


def test_crowds_show_no_class_and_difficult_objects_do() -> None:
    marks = np.array([True, False, False, False])
    objects = Objects(np.tile([0.0, 0, 1, 1], (4, 1)), np.array([5, 3, 1, 3]), marks, ~marks, np.ones(4), 9, 9, "a")
    assert shown_classes(objects) == [1, 3]
