"""Records are rebuilt from the store's rows."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.config.settings import Settings
from bissl_ray.search.records import Record, records_from_store
from bissl_ray.store import SweepWriter, read_trials, to_rows
from tests.search.small_space import space, store_rows


def record(trial="t000", **changes):
    return Record(trial, "explore", "search", None, 0, {"lower_lr": 1.0}, "tpe", **changes)


def test_rows_give_back_records_with_every_setting():
    own = [
        record("t000", status="complete", objective=0.5, curve={1: 0.4, 2: 0.5}),
        record("t001", status="pruned", objective=0.1, curve={1: 0.1}),
        record("t002", curve={1: 0.3}),
        Record("t000-f0", "confirm", "tuning", "t000", 3, {"lower_lr": 1.0, "finetune_lr": 0.01}, "tuning"),
    ]
    rebuilt = records_from_store(*store_rows(own, space()))
    for found, wanted in zip(rebuilt, own, strict=True):
        assert found.point["lower_lr"] == wanted.point["lower_lr"]
        assert space().settings(found.point) == space().settings(wanted.point)
        found.point = wanted.point
    assert rebuilt == own


def test_trials_come_in_the_order_they_began():
    trials, _ = store_rows([record("t001"), record("t000"), record("t002")], space())
    assert [r.trial for r in records_from_store(reversed(trials), [])] == ["t001", "t000", "t002"]
    # Two of one moment: by name.
    for row in trials:
        row["started_at"] = datetime(2026, 1, 1, tzinfo=UTC)
    assert [r.trial for r in records_from_store(trials, [])] == ["t000", "t001", "t002"]
    trials[0]["started_at"] += timedelta(days=1)
    assert [r.trial for r in records_from_store(trials, [])] == ["t000", "t002", "t001"]


def test_no_clipping_stays_no_clipping():
    known_good = Record("t000", "explore", "search", None, 0, {"lower_lr": 1.0, "clip_norm": None}, "known_good")
    (rebuilt,) = records_from_store(*store_rows([known_good], space()))
    assert space().settings(rebuilt.point).clip_norm is None


def test_a_curve_has_bissl_objectives_only():
    trials, _ = store_rows([record()], space())
    reports = [
        {"trial": "t000", "stage": "bissl", "alternation": 2, "objective": 0.2, "seconds": 2.0},
        {"trial": "t000", "stage": "bissl", "alternation": 1, "objective": 0.1, "seconds": 1.0},
        {"trial": "t000", "stage": "bissl", "alternation": 3, "objective": None},
        {"trial": "t000", "stage": "finetune", "alternation": None, "objective": 0.9},
        {"trial": "unknown", "stage": "bissl", "alternation": 1, "objective": 0.9},
    ]
    assert records_from_store(trials, reports)[0].curve == {1: 0.1, 2: 0.2}


@pytest.mark.parametrize(("status", "found"), [("paused", 0.2), ("running", 0.2), ("pruned", 0.1)])
def test_a_report_that_is_newer_than_its_trials_row_says_what_the_trial_has_come_to(status, found):
    """A driver that is killed has written the one and not the other; who has ended is as its row says."""
    trials, _ = store_rows([record(status=status, objective=0.1, seconds=3.0, curve={1: 0.1})], space())
    reports = [
        {"trial": "t000", "stage": "bissl", "alternation": at, "objective": at / 10, "seconds": 3.0 * at}
        for at in (1, 2)
    ]
    for told in (reports, reversed(reports)):
        (rebuilt,) = records_from_store(trials, told)
        assert (rebuilt.objective, rebuilt.seconds, rebuilt.at) == (found, 30 * found, 2)


@pytest.mark.parametrize(
    ("status", "objective", "scored"),
    [
        ("complete", 0.5, True),
        ("complete", 0.0, True),
        ("complete", None, False),
        ("complete", math.nan, False),
        ("running", 0.5, False),
        ("pruned", 0.5, False),
        ("failed", 0.5, False),
    ],
)
def test_what_counts_as_scored(status, objective, scored):
    assert record(status=status, objective=objective).scored is scored
    assert record(status=status).ended is (status != "running")


NEW = {
    "precision": "bfloat16",
    "proximity_decay": 0.5,
    "proximity_weight_stem": 0,
    "proximity_weight_layer1": 0.1,
    "proximity_weight_layer2": None,
    "solver": "nystrom",
    "curvature": "gauss_newton",
    "curvature_products": "recompute",
    "curvature_chunks": 3,
    "recycled_products": 0,
}


@pytest.mark.parametrize("images", [12, None])
def test_settings_survive_the_way_from_a_space_into_a_column_and_back(tmp_path, images):
    sizes = {"type": "categorical", "choices": [12, None]}
    weight = {"type": "float", "low": 0.0, "high": 1.0}
    of = space(parameters={"curvature_batch": sizes, "proximity_weight_layer4": weight}, fixed=NEW)
    own = Record("t000", "explore", "search", None, 0, {"curvature_batch": images, "proximity_weight_layer4": 0}, "tpe")
    (row,), _ = store_rows([own], of)
    with SweepWriter(tmp_path, "digits", "s", parameter_types()) as writer:
        writer.trial(row)
    table = read_trials(tmp_path)
    assert table.schema.field("param_curvature_batch").type == "int64"
    assert table.schema.field("param_proximity_weight_layer4").type == "double"
    (rebuilt,) = records_from_store(to_rows(table), [])
    assert of.settings(rebuilt.point) == of.settings(own.point)
    assert of.settings(rebuilt.point).model_dump().items() >= {**NEW, **own.point}.items()
    # A store from before these settings were there says nothing of them: defaults.
    older = {name: value for name, value in row.items() if name.removeprefix("param_") not in {*NEW, *own.point}}
    (rebuilt,) = records_from_store([older], [])
    assert space(fixed={}).settings(rebuilt.point) == Settings()
