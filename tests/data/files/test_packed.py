"""Names and labels in a few bytes read as the lists that they were made of."""

import os
import pickle

import numpy as np
import pytest

from bissl_ray.data.files.packed import Labels, Names, packed, selected
from bissl_ray.data.spec import UNCERTAIN

NAMES = ["a/1.jpg", "", "ü/ß 2.png", os.fsdecode(b"not \xff utf-8.jpg"), "a/1.jpg"]
LABELS = [[3, 0, -1, 7, 2**40], [(1, 0), (0, UNCERTAIN), (1, 1), (0, 0), (1, 1)]]
OTHERS = [
    [3, (1, 0), -1, (1,), 2**70],
    [0.5, 1, 2, 3, 4],
    [True, 0, 1, 1, 0],
    [(0.5, 1), (2, 1)],
    [[1, 2], [3, 4]],
    ["a", None],
]


@pytest.mark.parametrize(("made", "plain"), [(Names(NAMES), NAMES), *((packed(labels), labels) for labels in LABELS)])
def test_it_reads_as_the_list(made, plain) -> None:
    assert (
        made == plain
        and plain == made
        and made == (Names if plain is NAMES else packed)(iter(plain))
        and made != plain[1:]
    )
    assert list(made) == [made[i] for i in range(len(made))] == plain and repr(made) == repr(plain)
    assert made[-1] == plain[-1] and made[1:4:2] == plain[1:4:2] and plain[1] in made
    assert [type(value) for value in made] == [type(value) for value in plain]
    assert made.select([3, 0, 3]) == [plain[3], plain[0], plain[3]] and made.select([]) == []
    assert made.select([2]).select([0]) == [plain[2]]
    assert pickle.loads(pickle.dumps(made)) == plain
    with pytest.raises(IndexError):
        made[5]


@pytest.mark.parametrize("plain", OTHERS)
def test_any_other_target_stays_what_it_is(plain) -> None:
    made = packed(iter(plain))
    assert not isinstance(made, Labels) and made == plain
    assert [type(value) for value in made] == [type(value) for value in plain]
    assert selected(made, [1, 0]) == [plain[1], plain[0]]


def test_integers_of_numpy_become_plain_ones_and_nothing_is_made_twice() -> None:
    made = packed(np.arange(3))
    assert isinstance(made, Labels) and {type(value) for value in made} == {int} and packed(made) is made
    assert isinstance(selected(made, [2, 0]), Labels) and selected(made, [2, 0]) == [2, 0]
    assert packed([]) == Names([]) == []


def test_a_million_take_a_few_bytes_each() -> None:
    names = Names(f"n{number // 1300:08d}/n{number // 1300:08d}_{number}.JPEG" for number in range(100_000))
    assert len(pickle.dumps(names)) < 45 * len(names)
    assert len(pickle.dumps(packed(range(100_000)))) < 9 * 100_000
