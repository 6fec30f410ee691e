"""What part of a cluster is whose, where several jobs of this package share it."""

import json
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bissl_ray.workers.neighbours import Job, Neighbours, groups_of, parts
from bissl_ray.workers.place import OnCluster
from bissl_ray.workers.shape import Cluster, Node
from tests.views import Seen


def _jobs(*wants: float) -> list[Job]:
    return [
        Job(f"job{number}", f"sweep s{number}", "ada on gpu1", float(number), part) for number, part in enumerate(wants)
    ]


@pytest.mark.parametrize(
    ("wants", "expected"),
    [
        ((1.0,), [1.0]),
        ((0.25,), [0.25]),
        ((1.0, 1.0), [0.5, 0.5]),
        ((0.25, 1.0), [0.25, 0.75]),  # what one can't use is the other's
        ((1.0, 0.1, 1.0), [0.45, 0.1, 0.45]),
        ((0.3, 0.3, 0.3), [0.3, 0.3, 0.3]),
        ((0.0, 1.0), [0.0, 1.0]),
    ],
)
def test_each_has_what_it_wants_or_an_equal_part(wants, expected):
    assert parts(_jobs(*wants)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("wants", "fitting", "expected"),
    [
        ((1.0,), 5, [5]),
        ((1.0, 1.0), 4, [2, 2]),
        ((1.0, 1.0), 5, [3, 2]),  # who came first has what is left over
        ((1.0, 1.0), 1, [1, 0]),
        ((1.0, 1.0, 1.0), 2, [1, 1, 0]),
        ((0.5, 1.0), 2, [1, 1]),
        ((0.25, 1.0, 1.0), 4, [1, 2, 1]),
    ],
)
def test_whole_groups(wants, fitting, expected):
    jobs = _jobs(*wants)
    random.Random(0).shuffle(jobs)
    assert [groups_of(f"job{number}", jobs, fitting) for number in range(len(wants))] == expected


def test_no_group_is_given_twice_and_none_is_left_that_somebody_wants():
    draw = random.Random(1)
    for _ in range(500):
        fitting, count = draw.randint(1, 12), draw.randint(1, 6)
        whole = [draw.randint(0, fitting) / fitting for _ in range(count)]
        jobs = _jobs(*whole)
        had = [groups_of(job.key, jobs, fitting) for job in jobs]
        assert sum(had) == round(min(sum(whole), 1.0) * fitting), (whole, fitting, had)


class _Board:
    """The cluster's memory, for several jobs."""

    def __init__(self) -> None:
        self.known: dict[bytes, bytes] = {}
        self.now = 0.0

    def patched(self, monkeypatch) -> "_Board":
        kv = "ray.experimental.internal_kv._internal_kv_"
        monkeypatch.setattr(f"{kv}put", lambda key, value, namespace: self.known.update({key: value}))
        monkeypatch.setattr(
            f"{kv}list", lambda prefix, namespace: [key for key in self.known if key.startswith(prefix)]
        )
        monkeypatch.setattr(f"{kv}get", lambda key, namespace: self.known.get(key))
        monkeypatch.setattr(f"{kv}del", lambda key, namespace: self.known.pop(key))
        return self


def test_jobs_hear_of_each_other_and_of_one_that_has_fallen_silent_no_more(monkeypatch):
    board = _Board().patched(monkeypatch)
    first, second = Neighbours("sweep a"), Neighbours("sweep b")
    monkeypatch.setattr("bissl_ray.workers.neighbours.world", lambda: SimpleNamespace(monotonic=lambda: board.now))
    for each in (first, second, first):
        each.say_and_hear()
    assert [job.what for job in first.others] == ["sweep b"] and [job.what for job in second.others] == ["sweep a"]
    assert first.groups(4) == second.groups(4) == 2
    assert "sweep b of " in first.words and " on " in first.words
    second.want(0.25)
    second.say_and_hear()
    first.say_and_hear()
    assert (first.groups(4), second.groups(4)) == (3, 1)
    # The driver of the second is killed: nobody takes its line away.
    board.now = 14.0
    first.say_and_hear()
    assert first.others
    board.now = 16.0
    first.say_and_hear()
    assert not first.others and first.groups(4) == 4
    second.say_and_hear()  # it had only been stopped
    first.say_and_hear()
    assert first.others
    second.leave()
    first.say_and_hear()
    assert not first.others


def test_what_another_version_says_is_no_neighbour(monkeypatch):
    board = _Board().patched(monkeypatch)
    board.known |= {b"job:x": b"{}", b"job:y": json.dumps([1, 2]).encode(), b"job:z": b"\xff"}
    mine = Neighbours("sweep a")
    mine.say_and_hear()
    assert not mine.others and mine.groups(3) == 3


def _place(neighbours: Neighbours) -> OnCluster:
    cluster = Cluster("the cluster", (Node(2, 0), Node(2, 0)))
    return OnCluster(cluster, cluster.shape(1, "runs"), neighbours=neighbours)


def test_a_place_is_as_large_as_the_part_that_is_the_jobs(monkeypatch):
    mine = Neighbours("sweep a")
    place = _place(mine)
    assert place.slots == 4 and place.together.shape.workers == 4
    mine.others = (Job("other", "sweep b", "bob on gpu2", 0.0, 1.0),)
    assert place.slots == 2 and place.together.shape.workers == 2
    place.want(1)
    assert mine._me.wants == 0.25 and place.slots == 1
    place.want(None)
    assert mine._me.wants == 1.0
    assert replace(place, most_groups=1).slots == 1


def test_who_has_no_part_waits_and_says_for_whom(monkeypatch):
    mine = Neighbours("sweep c")
    mine.others = tuple(Job(name, f"sweep {name}", "bob on gpu2", 0.0, 1.0) for name in "abde")
    place, seen = _place(mine), Seen()
    monkeypatch.setattr("bissl_ray.workers.nodes.nodes_now", lambda: place.cluster.nodes)

    def passes(_: float) -> None:
        mine.others = mine.others[1:] if len(seen.notes) < 3 else ()

    monkeypatch.setattr("bissl_ray.workers.place.time.sleep", passes)
    mine.others = (*mine.others, Job("f", "sweep f", "bob on gpu2", 0.0, 1.0))
    assert place.slots == 0
    assert place.wait_for_room(seen, lambda: False).slots == 1
    assert seen.notes[0].startswith("sweep c waits for room on the cluster, which has none beside sweep a of bob on ")
    place.want(0)
    assert place.wait_for_room(seen, lambda: True).slots == 0, "who is told to stop waits no longer"
