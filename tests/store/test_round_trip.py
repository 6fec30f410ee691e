from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest

from bissl_ray import store
from bissl_ray.errors import BadInputError
from bissl_ray.store import load_trials, read_reports, read_trials
from bissl_ray.words import Phase, Status, Step


def test_every_type_comes_back_as_it_went_in(storage, start, open_writer):
    began = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    parameters = {"upper_lr": float, "cg_iterations": int, "exclude": bool, "solver": str}
    with open_writer(**parameters) as writer:
        writer.trial(
            start(
                "a",
                seed=np.int64(0),
                objective=np.float32(0.5),
                started_at=began,
                param_upper_lr=0,
                param_cg_iterations=0,
                param_exclude=False,
                param_solver="cg",
            )
        )
    table = read_trials(storage)
    assert table.schema.field("param_upper_lr").type == pa.float64()
    assert table.schema.field("param_exclude").type == pa.bool_()
    row = store.to_rows(table)[0]
    assert row["dataset"] == "cars" and row["sweep"] == "first" and row["schema_version"] == 1
    assert row["seed"] == 0 and row["objective"] == 0.5
    assert row["param_upper_lr"] == 0.0 and row["param_cg_iterations"] == 0
    assert row["param_exclude"] is False and row["param_solver"] == "cg"
    assert row["started_at"] == began and row["started_at"].tzinfo == UTC
    assert row["test_metric"] is None
    assert store.to_rows(table) == table.to_pylist()


def test_words_are_plain_strings_in_memory_and_on_disk(storage, open_writer):
    with open_writer() as writer:
        writer.trial({"trial": "a", "status": Status.PRUNED, "phase": Phase.CONTROL, "step": Step.TUNING})
        (waiting,) = writer.trials
    (row,) = store.to_rows(read_trials(storage))
    for name, word in (("status", "pruned"), ("phase", "control"), ("step", "tuning")):
        assert waiting[name] == row[name] == word and type(waiting[name]) is type(row[name]) is str


def test_partial_updates_merge_over_the_row_last_known_across_processes(storage, start, open_writer):
    with open_writer() as writer:
        writer.trial(start("a", param_upper_lr=0.1, seed=7))
        writer.flush()
        writer.trial({"trial": "a", "alternations": 3})
        writer.trial(start("b"))
    with open_writer(upper_lr=float) as resumed:  # does not name cg_iterations, which stays a column
        resumed.trial({"trial": "a", "status": "complete", "objective": 0.0})
    rows = {row["trial"]: row for row in store.to_rows(read_trials(storage))}
    assert rows["a"]["status"] == "complete" and rows["a"]["objective"] == 0.0
    assert rows["a"]["alternations"] == 3 and rows["a"]["seed"] == 7 and rows["a"]["param_upper_lr"] == 0.1
    assert rows["b"]["status"] == "running" and "param_cg_iterations" in rows["b"]


def test_reports_keep_the_newest_of_an_alternation(storage, start, open_writer):
    with open_writer() as writer:
        for alternation, objective in ((1, 0.1), (2, 0.2), (2, 0.25)):
            writer.report({"trial": "a", "stage": "bissl", "alternation": alternation, "objective": objective})
            writer.flush()
        for step, loss in ((2, 2.5), (4, 2.0)):  # two looks within an epoch are two rows
            writer.report({"trial": "a", "stage": "finetune", "epoch": 1, "finetune_step": step, "train_loss": loss})
    reports = read_reports(storage).to_pylist()
    assert [(r["alternation"], r["epoch"], r["objective"], r["train_loss"]) for r in reports] == [
        (1, None, 0.1, None),
        (2, None, 0.25, None),
        (None, 1, None, 2.5),
        (None, 1, None, 2.0),
    ]


def test_sweeps_with_different_parameters_read_as_one_table(storage, start, open_writer):
    with open_writer("one", cg_iterations=int, solver=str) as writer:
        writer.trial(start("a", param_cg_iterations=3, param_solver="cg"))
    with open_writer("two", dataset="digits", cg_iterations=float, damping=float) as writer:
        writer.trial(start("a", param_cg_iterations=2.5, param_damping=10.0))
    table = load_trials(storage)
    assert table["param_cg_iterations"].to_pylist() == [3.0, 2.5]
    assert table["param_solver"].to_pylist() == ["cg", None] and table["param_damping"].to_pylist() == [None, 10.0]
    assert load_trials(storage, "digits").num_rows == 1
    assert read_trials(storage, sweep="one")["dataset"].to_pylist() == ["cars"]


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_nothing_there_gives_the_columns_without_rows(storage, kind):
    if kind == "empty":
        storage.mkdir()
    table = read_trials(storage)
    assert table.num_rows == 0 and table.schema == pa.schema(list(store.TRIAL_COLUMNS.items()))
    assert read_reports(storage).column_names == list(store.REPORT_COLUMNS)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"objectiv": 0.5}, "objectiv"),
        ({"param_lowr_lr": 0.5}, "param_lowr_lr"),
        ({"updated_at": datetime.now(UTC)}, "updated_at"),
        ({"objective": "0.5"}, "objective"),
        ({"seed": 1.5}, "seed"),
        ({"status": "done"}, "running, paused, complete, pruned, failed"),
        ({"started_at": datetime(2026, 1, 1)}, "started_at"),
        ({"phase": None}, "phase"),
        ({"step": Step.TEST}, "search, tuning, seeds, found 'test'"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_name_and_not_written(storage, start, open_writer, change, word):
    with open_writer() as writer, pytest.raises(ValueError, match=word):
        writer.trial(start("a") | change)
    assert read_trials(storage).num_rows == 0


@pytest.mark.parametrize("name", ["42", "2026-10-30", "epoch", "null", "a/b", "", "a b", "x" * 101])
def test_names_that_a_path_or_a_reader_would_mangle_are_refused(storage, name):
    with pytest.raises(BadInputError, match="sweep name"):
        store.SweepWriter(storage, "cars", name, {})
    assert not storage.exists()


def test_a_parameter_stored_under_another_type_is_refused(storage, start, open_writer):
    with open_writer(solver=str) as writer:
        writer.trial(start("a", param_solver="cg"))
    with pytest.raises(BadInputError, match="--name"):
        open_writer(solver=float)
