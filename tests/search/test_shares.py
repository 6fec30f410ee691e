"""Fine-tuning points are shared so that every one is tried, and by one finalist only."""

import pytest

from bissl_ray.search.shares import share_points

NAMES = ("a", "b", "c", "d", "e")


@pytest.mark.parametrize("places", [1, 2, 3, 5])
@pytest.mark.parametrize("runs", [1, 4])
@pytest.mark.parametrize("finalists", [1, 2, 3])
def test_every_point_is_tried_once(finalists, places, runs):
    names = NAMES[: min(finalists, places)]
    shared = share_points(names, [], places, runs)
    assert list(shared) == list(names)
    assert sorted(point for points in shared.values() for point in points) == list(range(places * runs))
    assert all(points == sorted(points) for points in shared.values())
    # The first point, the space's own setting, goes to the best.
    assert shared["a"][0] == 0


def test_as_many_finalists_as_places_get_as_many_points_each():
    assert share_points("abc", [], 3, 2) == {"a": [0, 3], "b": [1, 4], "c": [2, 5]}


def test_fewer_share_all():
    assert share_points("a", [], 3, 2) == {"a": [0, 1, 2, 3, 4, 5]}
    assert share_points("ab", [], 3, 2) == {"a": [0, 2, 3, 5], "b": [1, 4]}


def test_nobody_gets_nothing():
    assert share_points("", [], 3, 2) == {}


def test_who_had_points_keeps_them_and_who_joins_gets_points_beyond():
    before = share_points("abc", [], 3, 2)
    after = share_points("dca", "abc", 3, 2)
    assert (after["a"], after["c"]) == (before["a"], before["c"])
    assert after["d"] == [6, 7]
    assert share_points("edb", "abcd", 3, 2) == {"e": [8, 9], "d": [6, 7], "b": before["b"]}
