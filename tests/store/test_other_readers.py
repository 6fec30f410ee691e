"""What people open the results with must give the contract's columns and the same rows."""

import duckdb
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from bissl_ray.store import TRIAL_COLUMNS, read_trials


@pytest.fixture
def results(storage, start, open_writer):
    for dataset, sweep in (("cars", "v1.0"), ("cars", "s2026"), ("digits", "night")):
        with open_writer(sweep, dataset) as writer:
            for index in range(3):
                writer.trial(start(f"t{index}", param_upper_lr=0.1 * index, objective=0.5))
                writer.report({"trial": f"t{index}", "stage": "bissl", "alternation": 1})
                writer.flush()
            writer.trial({"trial": "t0", "status": "complete"})
    return storage / "results"


def test_pyarrow(results, storage):
    files = sorted(str(path) for path in results.glob("*/*/trials-*.parquet"))
    for table in (ds.dataset(files, partitioning="hive").to_table(), pq.read_table(files)):
        assert set(TRIAL_COLUMNS) | {"param_upper_lr"} <= set(table.column_names)
        assert table.num_rows == read_trials(storage).num_rows == 9
    assert ds.dataset(files, partitioning="hive").schema.field("sweep").type == TRIAL_COLUMNS["sweep"]


def test_pandas(results):
    files = [str(path) for path in results.glob("*/*/trials-*.parquet")]
    frame = pd.read_parquet(files)
    assert set(TRIAL_COLUMNS) | {"param_upper_lr"} <= set(frame.columns) and len(frame) == 9
    assert frame.groupby("dataset", observed=True).size().to_dict() == {"cars": 6, "digits": 3}
    mixed = pd.read_parquet(results)  # trials and reports together, and still no clash of types
    assert len(mixed) == 18 and set(mixed["sweep"]) == {"v1.0", "s2026", "night"}


def test_duckdb(results, storage):
    found = duckdb.sql(f"select * from '{results}/*/*/trials-*.parquet'")
    types = dict(zip(found.columns, map(str, found.types), strict=True))
    assert set(TRIAL_COLUMNS) | {"param_upper_lr"} <= set(types) and found.to_arrow_table().num_rows == 9
    assert types["dataset"] == types["sweep"] == types["trial"] == "VARCHAR"
    assert types["objective"] == types["param_upper_lr"] == "DOUBLE" and types["started_at"].startswith("TIMESTAMP")
    by_sweep = duckdb.sql(
        f"""select sweep, count(*) from '{results}/*/*/trials-*.parquet'
        where status = 'complete' group by all order by 1"""
    ).fetchall()
    assert by_sweep == [("night", 1), ("s2026", 1), ("v1.0", 1)]


def test_a_running_sweep_shows_every_trial_to_a_reader_that_takes_the_newest(storage, start, open_writer):
    with open_writer() as writer:
        for status in ("running", "complete"):
            writer.trial(start("a") | {"status": status})
            writer.flush()
        newest = duckdb.sql(
            f"""select trial, status from '{storage}/results/*/*/trials-*.parquet'
            qualify row_number() over (partition by dataset, sweep, trial order by updated_at desc) = 1"""
        ).fetchall()
    assert newest == [("a", "complete")]
