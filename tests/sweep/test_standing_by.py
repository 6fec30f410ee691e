"""Groups that have no trial: kept for the next, unless there is no room for them."""

from bissl_ray.sweep.standing_by import StandingBy


def test_as_many_as_there_is_room_for_are_kept():
    idle = 2
    kept = StandingBy(lambda: idle)
    for group in "abc":
        assert kept.cache_object("shape", group)
    assert list(kept.flush_cached_objects()) == ["a"] and kept.num_cached_objects == 2
    assert kept.has_cached_object("shape") and kept.pop_cached_object("shape") == "b"
    idle = -1  # more run than there is room for now
    assert list(kept.flush_cached_objects()) == ["c"]
    assert not kept.has_cached_object("shape") and kept.pop_cached_object("shape") is None


def test_all_go_where_all_are_to_go():
    kept = StandingBy(lambda: 5)
    kept.cache_object("shape", "a")
    assert list(kept.flush_cached_objects()) == []
    assert list(kept.flush_cached_objects(force_all=True)) == ["a"]
