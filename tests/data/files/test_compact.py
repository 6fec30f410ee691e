"""Names and labels in a few bytes read as the lists that they were made of."""

import os
import pickle

import pytest

from bissl_ray.data.files.compact import Labels, Names
from bissl_ray.data.spec import UNCERTAIN, UNLABELLED

NAMES = ["a/1.jpg", "", "ü/ß 2.png", os.fsdecode(b"not \xff utf-8.jpg"), "a/1.jpg"]
LABELS = [[3, 0, UNLABELLED, 7, 2**40], [(1, 0), (0, UNCERTAIN), (1, 1), (0, 0), (1, 1)], [3, (1, 0), -1, (1,), 2**70]]


@pytest.mark.parametrize(("made", "plain"), [(Names(NAMES), NAMES), *((Labels(labels), labels) for labels in LABELS)])
def test_it_reads_as_the_list(made, plain) -> None:
    assert made == plain and plain == made and made == type(made)(iter(plain)) and made != plain[1:]
    assert list(made) == [made[i] for i in range(len(made))] == plain and repr(made) == repr(plain)
    assert made[-1] == plain[-1] and made[1:4:2] == plain[1:4:2] and plain[1] in made
    assert [type(value) for value in made] == [type(value) for value in plain]
    assert made.select([3, 0, 3]) == [plain[3], plain[0], plain[3]] and made.select([]) == []
    assert made.select([2]).select([0]) == [plain[2]]
    assert pickle.loads(pickle.dumps(made)) == plain
    with pytest.raises(IndexError):
        made[5]


def test_hidden_labels_are_all_the_same() -> None:
    assert Labels.hidden(3) == [UNLABELLED] * 3 and Labels([]) == Names([]) == []


def test_a_million_take_a_few_bytes_each() -> None:
    names = Names(f"n{number // 1300:08d}/n{number // 1300:08d}_{number}.JPEG" for number in range(100_000))
    assert len(pickle.dumps(names)) < 45 * len(names)
    assert len(pickle.dumps(Labels(range(100_000)))) < 9 * 100_000
