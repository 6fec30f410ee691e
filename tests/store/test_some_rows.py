"""A few rows of a file are those that reading all of it gives."""

import math

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from bissl_ray.store import SweepWriter, read_trials
from bissl_ray.store.reader import read_sweeps
from bissl_ray.store.some_rows import some_rows

TABLE = pa.table(
    {
        "trial": ["a", "b", "c", "d"],
        "same": ["x"] * 4,
        "gap": ["x", None, "x", "x"],
        "nothing": pa.nulls(4, pa.float64()),
        "mixed": [1.0, math.nan, 1.0, 1.0],
        "param_lr": [0.5] * 4,
        "param_steps": [3, 3, 3, 4],
        "param_on": [True] * 4,
    }
)


@pytest.mark.parametrize("group", [1, 3, 100])
@pytest.mark.parametrize("wanted", [["b"], ["d", "a"], [], ["a", "b", "c", "d"]])
def test_whatever_varies(tmp_path, group, wanted):
    pq.write_table(TABLE, tmp_path / "t.parquet", row_group_size=group)
    mask = lambda table: pc.is_in(table["trial"], value_set=pa.array(wanted, pa.string()))  # noqa: E731
    found = some_rows(pq.ParquetFile(tmp_path / "t.parquet"), ["trial", "unknown"], mask)
    expected = TABLE.filter(mask(TABLE))
    assert str(found.to_pylist()) == str(expected.to_pylist())
    assert found.schema.equals(expected.schema)


def test_of_an_older_release_too(tmp_path):
    """Whose files have no checksum in their names, and lack columns."""
    with SweepWriter(tmp_path, "cars", "first", {}) as writer:
        for trial in "abc":
            writer.trial({"trial": trial, "status": "complete", "phase": "explore", "step": "search"})
    (file,) = (tmp_path / "results").glob("*/*/trials-*.parquet")
    table = pq.ParquetFile(file).read().drop_columns(["control", "parent"])
    pq.write_table(table, file.with_name(f"trials-{1:020d}-1-old.parquet"))
    file.unlink()
    few = lambda place, rows: pc.and_(pc.equal(rows["trial"], "b"), pc.is_null(rows["control"]))  # noqa: E731
    (found,) = read_sweeps(tmp_path, ("trial", "control"), lambda rows: rows, few=few)
    assert found.to_pylist() == [row for row in read_trials(tmp_path).to_pylist() if row["trial"] == "b"]
