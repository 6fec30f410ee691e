"""A task whose target is four numbers, in a module of its own: the package needs no line for it."""

from dataclasses import replace
from itertools import islice

import pytest
import torch

from bissl_ray import plugins
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.settings import Settings
from bissl_ray.data import dataset_names, get_dataset, open_data
from bissl_ray.data.datasets.registry import DATASETS
from bissl_ray.data.files.packed import Labels
from bissl_ray.data.loaders import OfPair, Samples, evaluation_batches
from bissl_ray.data.sampling import Share
from bissl_ray.downstream import TASKS, downstream_names, downstream_task
from bissl_ray.errors import BadInputError
from bissl_ray.metrics import METRICS, Metric
from bissl_ray.models import build_backbone
from bissl_ray.training.data import TrialData
from bissl_ray.training.files import read_tensors
from bissl_ray.training.stages.head import warm_up_head
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import Worker, alone
from tests.downstream.own_task import FRAME, SPEC, Boxed, Cropped, iou
from tests.processes import run_workers
from tests.training.small_trial import (
    Reports,
    assert_bit_equal,
    changed,
    order,
    run,
    saved_models,
    settings,
    tensors_of,
    write_start,
)

CPU = torch.device("cpu")
SMALL = {"image_size": 16, "lower_batch": 20}


# Importing the module has registered what is in it. Other tests shall see what the package has by itself.
OWN = [
    (table, name, table.pop(name)) for table, name in ((DATASETS, "framed"), (TASKS, "boxed"), (METRICS, "mean_iou"))
]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for table, name, entry in OWN:
        monkeypatch.setitem(table, name, entry)


@pytest.fixture
def splits():
    return open_data(DataChoice("framed"))


def model(size=16):
    torch.manual_seed(0)
    backbone = build_backbone("smallconv", image_size=size)
    return backbone, Boxed.build(backbone, None, settings())


def lit(image):
    """The box of what isn't black, as shares of the sides."""
    rows, columns = ((image[0] > image[0].min()).any(axis).nonzero() for axis in (1, 0))
    return torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / image.shape[-1]


def test_targets_are_kept_as_they_are(splits):
    assert not isinstance(splits.train.targets, Labels)
    image, box = splits.train[0]
    assert image.shape == (3, FRAME, FRAME) and isinstance(box, tuple) and splits.classes is None
    assert splits.train.select([3, 5]).targets == [splits.train.targets[3], splits.train.targets[5]]
    assert splits.pretext[0].shape == image.shape


def test_the_target_moves_with_the_crop():
    image, box = torch.zeros(3, 24, 24, dtype=torch.uint8), (8 / 24, 4 / 24, 16 / 24, 12 / 24)
    image[:, 4:12, 8:16] = 255
    drawn = []
    for seed in range(20):
        torch.manual_seed(seed)
        crop, moved = Cropped(SPEC, 240, random=True)(image, box)
        # Bilinear resizing by at most 240 / 16 blurs an edge by less than a pixel of the frame.
        assert (lit(crop) - moved).abs().max() < 1 / 16
        assert moved.min() >= 0 and moved.max() <= 1
        drawn.append(moved)
    assert len(torch.stack(drawn).unique(dim=0)) > 10
    assert torch.allclose(Cropped(SPEC, 24, random=False)(image, box)[1], torch.tensor(box))


def test_the_loss_is_smooth_l1_and_the_figure_is_intersection_over_union():
    backbone, task = model()
    images, boxes = torch.randn(4, 3, 16, 16), torch.rand(4, 4)
    off = (task.corners(backbone(images)) - boxes).abs()
    by_hand = torch.where(off < 0.1, off**2 / 0.2, off - 0.05).mean()
    torch.testing.assert_close(task.loss(backbone, (images, boxes)), by_hand)
    found = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 2, 2], [1, 1, 0, 0]])
    there = torch.tensor([[0.0, 0, 2, 2], [2, 2, 3, 3], [1, 1, 3, 3], [0, 0, 1, 1]])
    assert iou(found, there).tolist() == pytest.approx([1, 0, 1 / 7, 0])


def evaluated(rank, workers):
    backbone, task = model()
    part = SPEC.open(None).validation.select(range(31))
    samples = Samples(part, OfPair(task.evaluation_sample(SPEC, Settings(image_size=16))), task.collate)
    return task.evaluate(backbone, evaluation_batches(samples, 8, Share(rank, workers)))


@pytest.mark.slow
def test_two_workers_find_what_one_does():
    one = evaluated(0, 1)
    assert list(one) == list(Boxed.metrics) and 0 <= one["mean_iou"] <= 1
    for found in run_workers(evaluated, 2):
        assert found == pytest.approx(one, rel=1e-6)


def test_a_split_without_images_is_refused():
    backbone, task = model()
    with pytest.raises(BadInputError, match="no images to evaluate"):
        task.evaluate(backbone, [])


def framed(storage, **changes):
    return changed(order(storage, **SMALL, **changes), dataset="framed")


@pytest.mark.slow
def test_a_whole_trial_runs_on_it(tmp_path):
    write_start(tmp_path, **SMALL)
    what, rows = framed(tmp_path, head_epochs=20, head_lr=0.5, finetune_epochs=40, finetune_lr=0.1), Reports()
    result = run(what, reports=rows)
    assert [row["stage"] for row in rows][:3] == ["bissl", "bissl", "finetune"]
    assert {row["objective_name"] for row in rows} == {"validation_mean_iou"}
    assert rows[-1]["train_loss"] < rows[2]["train_loss"]
    head = tensors_of(read_tensors(str(tmp_path), result["checkpoint"]))
    assert head["downstream/corners.2.weight"].shape == (4, 32)
    tested = run(changed(what, stages=("test",), start=result["checkpoint"]))
    # The middle of the frame, for any image, would score 0.13.
    assert tested["test_metric"] > 0.2 and result["objective"] > 0.2


def test_a_trial_goes_on_where_it_was_and_a_head_learns_alone(tmp_path):
    write_start(tmp_path, **SMALL)
    before = read_tensors(str(tmp_path), "pretrained/start.pt")["backbone"]
    what = changed(framed(tmp_path), stages=("head", "finetune"), trial="again")
    first = run(what)
    models = saved_models(what)
    assert run(changed(what, trial="again")) == first
    assert_bit_equal(saved_models(what), models)
    trial = Trial(changed(framed(tmp_path), stages=("head",)), alone(CPU), Reports())
    trial.begin()
    head = [parameter.clone() for parameter in trial.models.downstream.parameters()]
    warm_up_head(trial, None)
    assert_bit_equal(dict(trial.models.lower.state_dict()), before)
    assert all(parameter.requires_grad for parameter in trial.models.lower.parameters())
    assert all(not torch.equal(now, then) for now, then in zip(trial.models.downstream.parameters(), head, strict=True))


def test_a_figure_to_be_small_becomes_an_objective_by_its_negative(tmp_path, monkeypatch):
    monkeypatch.setitem(METRICS, "mean_iou", Metric("mean_iou", "error", larger_is_better=False, share=False))
    write_start(tmp_path, **SMALL)
    rows = Reports()
    result = run(changed(framed(tmp_path), stages=("head", "finetune"), trial="negative"), reports=rows)
    assert result["objective_name"] == rows[-1]["objective_name"] == "validation_neg_mean_iou"
    assert -1 <= result["objective"] < 0
    tested = run(changed(framed(tmp_path), stages=("test",), start=result["checkpoint"], trial="tested"))
    assert -1 <= tested["test_metric"] < 0


def test_what_judges_features_refuses_it_in_one_line(tmp_path):
    write_start(tmp_path, **SMALL)
    frozen = changed(framed(tmp_path), stages=("frozen",), trial="frozen").model_copy(update={"frozen": ("knn",)})
    with pytest.raises(BadInputError, match=r"Framed digits has the task boxed, and neighbours .*leave out --knn"):
        run(frozen)


def test_a_metric_that_its_task_lacks_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "framed", replace(SPEC, metric="top1"))
    with pytest.raises(BadInputError, match=r"is judged by 'top1', expected one of its task boxed: mean_iou"):
        run(framed(tmp_path))


@pytest.mark.slow
def test_loader_processes_draw_the_same(splits):
    def drawn(processes, rank=0, world_size=1):
        worker = Worker(rank, world_size, CPU)
        data = TrialData(
            DataChoice("framed"), settings(loader_processes=processes, **SMALL), 1, worker, lambda event: None
        )
        with data.labelled("head", 4, 0) as batches:
            return list(islice(batches, 2))

    alone_, shares = drawn(0), [drawn(1, rank, 2) for rank in range(2)]
    for whole, *parts in zip(alone_, *shares, strict=True):
        for member, tensor in enumerate(whole):
            assert torch.equal(torch.cat([part[member] for part in parts]), tensor)


PLUGIN = """
from dataclasses import replace
from bissl_ray.data.datasets.registry import DATASETS
from bissl_ray.downstream import TASKS
from tests.downstream.own_task import SPEC
DATASETS["later"] = replace(SPEC, name="later", task="later")
TASKS["later"] = "tests.downstream.own_task:Boxed"
"""


def test_a_plugin_is_imported_when_an_unknown_name_is_asked_for(tmp_path, monkeypatch):
    (tmp_path / "later_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadInputError, match="no dataset is called 'later'"):
        get_dataset("later")
    monkeypatch.setenv(plugins.VARIABLE, " later_plugin ,")
    try:
        assert get_dataset("later").task == "later" and "later" in dataset_names() and "later" in downstream_names()
        assert downstream_task("later") is downstream_task("boxed")
    finally:
        del DATASETS["later"], TASKS["later"]


def test_a_plugin_that_cannot_be_imported_is_named(monkeypatch):
    monkeypatch.setenv(plugins.VARIABLE, "no.such.module")
    with pytest.raises(BadInputError, match=r"BISSL_RAY_PLUGINS: no\.such\.module can't be imported \(ModuleNotFound"):
        get_dataset("never heard of")
