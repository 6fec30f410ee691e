"""Stratified splits: exact sizes, fair shares, no class emptied; fingerprints tell splits apart."""

import numpy as np
import pytest

from bissl_ray.data.splits import fingerprint, stratified_split

UNEVEN = np.repeat([0, 1, 2, 3], [1, 7, 30, 62])


@pytest.mark.parametrize("held_out", [1, 10, 33, 50])
def test_sizes_are_exact_and_shares_fair(held_out: int) -> None:
    labels = np.repeat(np.arange(3), [20, 30, 50])
    kept, held = stratified_split(labels, held_out, 0, "validation")
    assert len(held) == held_out
    assert sorted([*kept, *held]) == list(range(100))
    assert np.all(np.abs(np.bincount(labels[held], minlength=3) - held_out * np.array([0.2, 0.3, 0.5])) < 1)


def test_no_class_is_emptied() -> None:
    kept, held = stratified_split(UNEVEN, 99, 0, "validation")
    assert np.bincount(UNEVEN[kept]).tolist() == [1, 1, 1, 1]
    assert len(held) == 96


def test_seed_and_purpose_choose_the_split() -> None:
    def held(seed: int, purpose: str) -> list[int]:
        return stratified_split(UNEVEN, 20, seed, purpose)[1].tolist()

    assert held(0, "validation") == held(0, "validation")
    assert held(0, "validation") != held(1, "validation")
    assert held(0, "validation") != held(0, "train")


def test_a_split_drawn_today_is_the_split_drawn_elsewhere() -> None:
    # Literal indices: a change here would silently move images between the splits of finished sweeps.
    assert stratified_split([0, 1] * 10, 4, 7, "validation")[1].tolist() == [8, 10, 11, 13]


def test_a_fingerprint_sees_content_and_membership() -> None:
    splits = {"train": np.array([0, 1]), "validation": np.array([2])}
    one = fingerprint("cars", [b"ab", b"c"], splits)
    assert one == fingerprint("cars", [b"ab", b"c"], dict(reversed(splits.items())))
    others = [
        fingerprint("digits", [b"ab", b"c"], splits),
        fingerprint("cars", [b"a", b"bc"], splits),
        fingerprint("cars", [b"ab", b"c"], {"train": np.array([0, 2]), "validation": np.array([1])}),
    ]
    assert len({one, *others}) == 4
