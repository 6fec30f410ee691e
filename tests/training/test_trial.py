"""What a trial reports, what decides its numbers, and what it refuses."""

import math
from dataclasses import replace

import pytest
import torch

from bissl_ray.bilevel import DivergedError
from bissl_ray.data.datasets import digits, registry
from bissl_ray.data.files.sources import TensorImages
from bissl_ray.errors import BadInputError
from bissl_ray.training.files import read_tensors
from bissl_ray.training.order import Order
from bissl_ray.training.worker import Worker
from tests.data.tiny.cars import write_tiny_cars
from tests.training.small_trial import (
    Reports,
    assert_bit_equal,
    changed,
    order,
    renamed,
    run,
    saved_models,
    without_clock,
    write_start,
)


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("storage")
    write_start(folder)
    return folder


@pytest.mark.slow
def test_the_seed_decides_everything(storage):
    first, again = renamed(order(storage), "first"), renamed(order(storage), "again")
    other = renamed(order(storage, seed=2), "other")
    rows = {what.trial: Reports() for what in (first, again, other)}
    totals = {what.trial: run(what, reports=rows[what.trial]) for what in (first, again, other)}
    assert without_clock(rows["first"]) == without_clock(rows["again"])
    assert_bit_equal(saved_models(again), saved_models(first))
    assert totals["first"]["objective"] == totals["again"]["objective"]
    assert [row["lower_loss"] for row in rows["other"][:2]] != [row["lower_loss"] for row in rows["first"][:2]]
    differing = saved_models(other)
    assert all(
        not torch.equal(differing[name], tensor)
        for name, tensor in saved_models(first).items()
        if name.endswith("weight") and name.startswith(("aligned", "finetuned"))
    )


def test_an_order_survives_json_and_names_its_folder(storage):
    what = order(storage, alternations=7, clip_norm=None)
    assert Order.model_validate_json(what.model_dump_json()) == what
    assert what.folder == "sweeps/small/checkpoints/t000"
    assert what.settings.alternations == 7


def test_what_a_bissl_trial_reports(storage):
    rows = Reports()
    result = run(renamed(order(storage, stages=("head", "bissl")), "bissl-only"), reports=rows)
    assert [(row["stage"], row["alternation"]) for row in rows] == [("bissl", 1), ("bissl", 2)]
    assert all(row["objective_name"] == "validation_top1" for row in rows)
    assert rows[0]["seconds"] < rows[1]["seconds"]
    assert result["alternations"] == 2
    assert result["hvps"] == sum(row["hvps"] for row in rows) > 0
    assert result["cg_residual"] == pytest.approx(sum(row["cg_residual"] for row in rows) / 2)
    assert result["objective"] == rows[-1]["objective"]
    # Whatever stops it after a report, that much is known.
    assert [row["so_far"]["hvps"] for row in rows] == [rows[0]["hvps"], result["hvps"]]
    assert [row["so_far"]["alternations"] for row in rows] == [1, 2]
    assert rows[1]["so_far"]["seconds"] >= rows[1]["seconds"]
    assert result["checkpoint"].endswith("bissl-only/aligned.pt")
    assert (result["workers"], result["objective_name"]) == (1, "validation_top1")


def test_no_solve_leaves_no_residual(storage):
    result = run(renamed(order(storage, stages=("head", "bissl"), cg_iterations=0), "identity"))
    assert result["hvps"] == 0
    assert result["cg_residual"] is None


@pytest.mark.slow
def test_finetuning_in_a_trial_of_its_own_equals_it_at_the_end_of_the_whole(storage):
    # A finalist's fine-tuning search starts from aligned.pt; its confirmation runs all stages in one trial.
    whole = renamed(order(storage), "whole")
    result = run(whole)
    alone_ = changed(renamed(order(storage, stages=("finetune",)), "tuning"), start=f"{whole.folder}/aligned.pt")
    assert run(alone_)["objective"] == result["objective"]
    finetuned = {name: tensor for name, tensor in saved_models(whole).items() if name.startswith("finetuned")}
    assert_bit_equal(saved_models(alone_), finetuned)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("epochs", "extra", "marks"),
    [
        (1, 0, [1, 2, 3, 4, 5]),  # fewer steps than reports: one each
        (1, 4, [1, 2, 3, 4, 5, 6, 7, 8, 9]),  # the control's steps come on top
        (4, 5, [2, 5, 7, 10, 12, 15, 17, 20, 22, 25]),  # ten reports, the last step among them
        (0, 0, [0]),  # no step: the model is scored as it is
        (0, 3, [1, 2, 3]),
        (0, 2.5, [1, 2, 3]),  # 50 labelled images make three steps of 20
    ],
)
def test_finetuning_takes_its_steps_and_reports_at_its_marks(storage, epochs, extra, marks):
    what = order(
        storage,
        stages=("finetune",),
        finetune_epochs=epochs,
        alternations=1,
        upper_batch=10,
        upper_steps=max(1, int(2 * extra)),
    )
    rows = Reports()
    result = run(changed(renamed(what, f"marks-{epochs}-{extra}"), with_upper_budget=extra > 0), reports=rows)
    per_epoch = 100 // 20
    assert [row["epoch"] for row in rows] == [math.ceil(mark / per_epoch) for mark in marks]
    assert [row["finetune_step"] for row in rows] == marks
    assert all(row["stage"] == "finetune" and math.isfinite(row["train_loss"]) for row in rows)
    assert result["objective"] == rows[-1]["objective"]


@pytest.mark.slow
def test_the_controls_extra_steps_change_the_result_as_so_many_epochs_do(storage):
    # An upper level that sees 100 images is worth one epoch: these are the same run.
    def plain(**settings):
        return order(storage, stages=("head", "finetune"), alternations=1, upper_batch=20, upper_steps=5, **settings)

    epochs = renamed(plain(finetune_epochs=2), "two-epochs")
    extra = changed(renamed(plain(), "extra"), with_upper_budget=True)
    short = renamed(plain(), "short")
    assert run(epochs)["objective"] == run(extra)["objective"]
    run(short)
    assert_bit_equal(saved_models(extra), saved_models(epochs))
    with pytest.raises(AssertionError):
        assert_bit_equal(saved_models(short), saved_models(extra))


def test_a_finetuned_model_is_scored_on_the_test_split(storage):
    what = renamed(order(storage, stages=("head", "finetune")), "to-test")
    run(what)
    tested = run(changed(what, stages=("test",), start=f"{what.folder}/finetuned.pt"))
    assert 0 < tested["test_metric"] < 1
    assert tested["test_metric"] * 597 == pytest.approx(round(tested["test_metric"] * 597), abs=1e-6)


TEST_READS: list[int] = []


class _Watched(TensorImages):
    """A test split that says when one of its images is read."""

    def __getitem__(self, index):
        TEST_READS.append(index)
        return super().__getitem__(index)


def _read_watched(folder, choice):
    splits = digits.SPEC.reader(folder, choice)
    assert isinstance(splits.test.images, TensorImages)
    return replace(splits, test=replace(splits.test, images=_Watched(splits.test.images.images)))


@pytest.mark.slow
def test_only_the_test_stage_reads_the_test_split(storage, monkeypatch):
    monkeypatch.setitem(registry.DATASETS, "watched", replace(digits.SPEC, name="watched", reader=_read_watched))
    TEST_READS.clear()
    what = changed(renamed(order(storage), "watched"), dataset="watched")
    run(what)
    control = changed(what, trial="watched-control", stages=("head", "finetune"))
    run(control)
    run(changed(what, trial="watched-pretrain", stages=("pretrain",), start="pretrained/watched.pt"))
    assert TEST_READS == []
    run(changed(what, stages=("test",), start=f"{what.folder}/finetuned.pt"))
    assert sorted(TEST_READS) == list(range(597))


@pytest.mark.parametrize(
    ("stages", "changes", "error"),
    [
        (("head", "bissl"), {"upper_lr": 1e30}, DivergedError),
        (("head", "bissl"), {"lower_lr": 1e30, "lower_optimizer": "sgd"}, DivergedError),
        (("head", "bissl"), {"lower_lr": 1e30, "lower_optimizer": "lars"}, DivergedError),
        (("finetune",), {"finetune_lr": 1e30}, FloatingPointError),
        # One step only: its loss is that of the model before it.
        (("finetune",), {"finetune_lr": 1e38, "finetune_batch": 100}, FloatingPointError),
        (("bissl",), {"upper_lr": 1e38, "alternations": 1, "upper_steps": 1}, DivergedError),
    ],
)
def test_a_model_that_is_no_longer_a_number_fails_the_trial(tmp_path, stages, changes, error):
    write_start(tmp_path)
    what = order(tmp_path, stages=stages, clip_norm=None, **changes)
    with pytest.raises(error, match=r"\b(nan|inf)\b"):
        run(what)
    assert saved_models(what) == {}


@pytest.mark.parametrize(
    ("steps", "quantity"),
    # The loss of one step is that of the weights before it.
    [(1, "norm of the weights"), (3, "pretext loss")],
)
def test_pretraining_that_is_no_longer_a_number_ends_in_words_and_writes_nothing(tmp_path, steps, quantity):
    changes = {"pretrain_lr": 1e38, "pretrain_batch": 900 // steps, "pretrain_warmup": 0}
    with pytest.raises(FloatingPointError, match=rf"the {quantity} is (nan|inf) in epoch 1 .*smaller pretrain_lr"):
        run(order(tmp_path, stages=("pretrain",), **changes))
    assert not list(tmp_path.rglob("start.pt"))


def test_a_missing_start_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"pretrained/start\.pt"):
        run(order(tmp_path))


@pytest.mark.parametrize("name", ["lower_batch", "upper_batch", "finetune_batch"])
def test_a_batch_that_the_workers_cannot_share_is_refused(storage, name):
    worker = Worker(rank=0, world_size=3, device=torch.device("cpu"))
    fitting = {"lower_batch": 18, "upper_batch": 18, "finetune_batch": 18}
    with pytest.raises(BadInputError, match=f"{name} is 20, which 3 workers can't share.*multiple of 3"):
        run(order(storage, **{**fitting, name: 20}), worker)


@pytest.mark.parametrize(
    ("changes", "images", "multiple"),
    [({"curvature_batch": 8, "curvature_chunks": 3}, 8, 6), ({"curvature_chunks": 5}, 16, 10)],
)
def test_parts_of_the_curvature_batch_that_the_workers_cannot_share_are_refused(storage, changes, images, multiple):
    worker = Worker(rank=0, world_size=2, device=torch.device("cpu"))
    with pytest.raises(BadInputError, match=f"taken on {images} images, which 2 workers .*multiple of {multiple}"):
        run(order(storage, **changes), worker)


def test_cars_run_with_their_own_metric(tmp_path):
    changes = {"image_size": 16, "lower_batch": 8, "upper_batch": 8, "finetune_batch": 8}
    write_start(tmp_path, **changes)
    data = write_tiny_cars(tmp_path / "data", train_per_class=8)
    what = changed(order(tmp_path, **changes), dataset="cars", data_dir=str(data))
    rows = Reports()
    result = run(what, reports=rows)
    metric = registry.get_dataset("cars").metric
    assert {row["objective_name"] for row in rows} == {f"validation_{metric}"}
    assert result["objective_name"] == f"validation_{metric}"
    head = (read_tensors(str(tmp_path), result["checkpoint"]) or {})["downstream"]
    assert 4 in {tensor.shape[0] for tensor in head.values()}
