"""The stage that stands in BiSSL's place in a control: whole trials of it (issue 16)."""

import pytest
import torch

from bissl_ray.training.files import read_tensors
from bissl_ray.training.worker import Worker
from tests.processes import run_workers
from tests.training.small_trial import (
    START,
    Reports,
    assert_bit_equal,
    assert_ends_alike_wherever_stopped,
    changed,
    order,
    renamed,
    run,
    save_always,
    saved_models,
    without_clock,
    write_start,
)

STAGES = ("head", "joint", "finetune")
METHODS = ("joint", "continued")


def of_method(storage, method, **changes):
    return renamed(order(storage, STAGES, method=method, **changes), method)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_it_reports_each_alternation_and_leaves_what_fine_tuning_starts_from(tmp_path, method):
    write_start(tmp_path)
    rows = Reports()
    result = run(of_method(tmp_path, method), reports=rows)
    own = [row for row in rows if row["stage"] == "joint"]
    assert [row["alternation"] for row in own] == [1, 2]
    assert all(row["lower_loss"] > 0 and row["upper_loss"] > 0 and 0 <= row["objective"] <= 1 for row in own)
    assert result["alternations"] == 2 and "hvps" not in result and result["embedding_std"] > 0
    aligned = read_tensors(str(tmp_path), f"sweeps/small/checkpoints/{method}/aligned.pt")
    begun = read_tensors(str(tmp_path), START)
    assert aligned["metadata"]["settings"]["method"] == method
    name = "conv1.weight" if "conv1.weight" in begun["backbone"] else next(iter(begun["backbone"]))
    assert not torch.equal(aligned["backbone"][name], begun["backbone"][name])


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_an_interrupted_trial_ends_as_an_undisturbed_one(tmp_path, monkeypatch, method):
    save_always(monkeypatch)
    write_start(tmp_path)
    whole, rows = of_method(tmp_path, method), Reports()
    result = run(whole, reports=rows)
    assert_ends_alike_wherever_stopped(whole, rows, result, (1, 2, 3, len(rows)))


@pytest.mark.slow
def test_more_pretraining_is_joint_training_of_no_weight(tmp_path):
    write_start(tmp_path)
    without, continued = of_method(tmp_path, "joint", joint_weight=0.0), of_method(tmp_path, "continued")
    run(without)
    run(continued)
    # Up to what is added as 0 times a gradient, which leaves every bit as it was.
    assert_bit_equal(saved_models(continued), saved_models(without))


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_the_alignment_is_measured_as_of_bissl(tmp_path, method):
    write_start(tmp_path)
    rows, without = Reports(), Reports()
    measured = of_method(tmp_path, method, alignment_every=1)
    run(measured, reports=rows)
    run(renamed(of_method(tmp_path, method), "plain"), reports=without)
    own = [row for row in rows if row["stage"] == "joint"]
    assert len(own) == 2 and all(0 <= row["lower_knn"] <= 1 and row["distance_pretrained"] > 0 for row in own)
    assert not any("cka_upper" in row for row in own)
    assert [row["objective"] for row in rows] == [row["objective"] for row in without]


def test_fresh_weights_are_the_seeds_own(tmp_path):
    write_start(tmp_path)
    fresh = [
        changed(renamed(order(tmp_path, ("head", "finetune"), seed=seed), f"s{seed}"), fresh=True) for seed in (1, 2)
    ]
    for what in fresh:
        run(what)
    first, second = map(saved_models, fresh)
    name = next(name for name in first if name.startswith("finetuned/backbone") and name.endswith("weight"))
    assert not torch.equal(first[name], second[name])
    again = renamed(fresh[0], "again")
    run(again)
    assert_bit_equal(saved_models(again), first)


def test_fine_tuning_is_prolonged_by_images(tmp_path):
    write_start(tmp_path)
    rows = Reports()
    run(renamed(order(tmp_path, ("finetune",), finetune_extra_images=101), "longer"), reports=rows)
    # 100 labelled images in batches of 20: an epoch of 5 steps, and 6 more.
    assert rows[-1]["epoch"] == 3 and len(rows) == 10


def test_fine_tuning_looks_as_often_as_it_is_told(tmp_path):
    write_start(tmp_path)
    scores = []
    for looks in (1, 3):
        rows = Reports()
        what = renamed(order(tmp_path, ("finetune",), finetune_reports=looks), f"looks-{looks}")
        scores.append(run(what, reports=rows)["objective"])
        assert len(rows) == looks
    assert scores[0] == scores[1]


def _course(rank, world_size, storage, method):
    rows = Reports()
    run(of_method(storage, method), Worker(rank, world_size, torch.device("cpu")), rows)
    return without_clock(rows)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_two_workers_equal_one(tmp_path, method):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_start(tmp_path / name)
    expected = _course(0, 1, str(tmp_path / "one"), method)
    found = run_workers(_course, 2, str(tmp_path / "two"), method)[0]
    for row, wanted in zip(found, expected, strict=True):
        for loss in ("lower_loss", "upper_loss", "lower_grad_norm", "train_loss"):
            if loss in wanted:
                assert row[loss] == pytest.approx(wanted[loss], rel=1e-5)  # float32
