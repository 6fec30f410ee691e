"""Arrays and scalars that are made without pandas are those that pyarrow makes."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from bissl_ray.store.arrays import array_of, integers, literal, missing, repeated

TIME = pa.timestamp("us", tz="UTC")
NOW = datetime(2026, 11, 30, 12, 0, 0, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([], pa.null()),
        ([None, None], pa.null()),
        (["a", None, "", "ä日"], pa.string()),
        ([1, None, -(2**62)], pa.int64()),
        ([1.5, None, -math.inf], pa.float64()),
        ([True, None, False] * 5, pa.bool_()),
        ([NOW, None, NOW - timedelta(days=40_000)], TIME),
    ],
)
def test_as_arrow_makes_them(values, type_):
    expected = pa.array(values, type_)
    for made in (array_of(values), array_of(values, type_)):
        made.validate(full=True)
        assert made.equals(expected)


def test_what_sweeps_may_mix_is_brought_together():
    assert array_of([1, 2.5, None]).equals(pa.array([1.0, 2.5, None]))
    assert array_of(["cg", 3, True, None]).equals(pa.array(["cg", "3", "true", None]))


def test_scalars_and_the_same_value_many_times():
    assert literal("cg").equals(pa.scalar("cg")) and literal(NOW).equals(pa.scalar(NOW, TIME))
    assert literal(math.inf).as_py() == math.inf and literal(False).as_py() is False
    assert missing(pa.float64()).as_py() is None and missing(pa.float64()).type == pa.float64()
    assert repeated("ab", 3).to_pylist() == ["ab"] * 3 and repeated(None, 2, pa.int64()).equals(pa.nulls(2, pa.int64()))
    assert integers(range(3)).equals(integers(np.arange(3))) and integers(range(3)).to_pylist() == [0, 1, 2]
