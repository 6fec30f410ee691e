"""Fine-tuning points are dealt out so that every one is tried, and by one finalist only."""

import pytest

from bissl_ray.search.shares import deal

NAMES = ("a", "b", "c", "d", "e")


@pytest.mark.parametrize("places", [1, 2, 3, 5])
@pytest.mark.parametrize("runs", [1, 4])
@pytest.mark.parametrize("finalists", [1, 2, 3])
def test_every_point_is_dealt_once(finalists, places, runs):
    names = NAMES[: min(finalists, places)]
    hands = deal(names, [], places, runs)
    assert list(hands) == list(names)
    assert sorted(point for hand in hands.values() for point in hand) == list(range(places * runs))
    assert all(hand == sorted(hand) for hand in hands.values())
    # The first point, the space's own setting, goes to the best.
    assert hands["a"][0] == 0


def test_a_full_table_gets_equal_hands():
    assert deal("abc", [], 3, 2) == {"a": [0, 3], "b": [1, 4], "c": [2, 5]}


def test_fewer_share_all():
    assert deal("a", [], 3, 2) == {"a": [0, 1, 2, 3, 4, 5]}
    assert deal("ab", [], 3, 2) == {"a": [0, 2, 3, 5], "b": [1, 4]}


def test_nobody_gets_nothing():
    assert deal("", [], 3, 2) == {}


def test_who_was_dealt_keeps_the_hand_and_who_joins_gets_points_beyond():
    before = deal("abc", [], 3, 2)
    after = deal("dca", "abc", 3, 2)
    assert (after["a"], after["c"]) == (before["a"], before["c"])
    assert after["d"] == [6, 7]
    assert deal("edb", "abcd", 3, 2) == {"e": [8, 9], "d": [6, 7], "b": before["b"]}
