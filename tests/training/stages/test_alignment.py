"""What is measured of the alignment: when, of what, at no cost to training, after an interruption, on two workers."""

import copy
import time

import pytest
import torch

from bissl_ray.data.datasets import registry
from bissl_ray.downstream import check_task
from bissl_ray.downstream.classification import ClassificationTask
from bissl_ray.errors import BadInputError
from bissl_ray.metrics import METRICS
from bissl_ray.models import build_backbone
from bissl_ray.progress import TrialStoppedError
from bissl_ray.training.evaluation import alignment
from bissl_ray.training.evaluation.alignment import compared_rows, frozen_fit
from bissl_ray.training.evaluation.features import extract_features
from bissl_ray.training.evaluation.likeness import linear_cka, relative_distance, weights_of
from bissl_ray.training.evaluation.scoring import evaluate_frozen
from bissl_ray.training.evaluation.statistics import reestimate_statistics
from bissl_ray.training.files import read_tensors, remove_file
from bissl_ray.training.models import Models
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import Worker, alone
from tests.processes import run_workers
from tests.training.small_trial import (
    CPU,
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
    settings,
    without_clock,
    write_start,
)

MEASURED = ("lower_knn", "lower_probe", "cka_pretrained", "cka_upper", "distance_pretrained")
OF_TRIAL = ("lower_knn_before", "lower_probe_before", *MEASURED[:3], "distance_pretrained", "moved")


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("storage")
    write_start(folder)
    return folder


@pytest.fixture(scope="module")
def measured(storage):
    """A whole trial that is measured at every alternation: order, rows and result."""
    what, rows = renamed(order(storage, alternations=3, alignment_every=1), "measured"), Reports()
    return what, rows, run(what, reports=rows)


def of_alternations(rows):
    return [row for row in rows if row["stage"] == "bissl"]


@pytest.mark.slow
def test_training_does_not_depend_on_being_measured(storage, measured):
    what, rows, result = measured
    plain, plain_rows = renamed(order(storage, alternations=3), "plain"), Reports()
    torch.manual_seed(11)
    expected = run(plain, reports=plain_rows)
    drawn = torch.rand(3)
    again = renamed(what, "measured-again")
    torch.manual_seed(11)
    run(again)
    assert torch.equal(torch.rand(3), drawn)
    assert_bit_equal(saved_models(what), saved_models(plain))
    added = {*MEASURED, "so_far"}
    for found, wanted in zip(without_clock(rows), without_clock(plain_rows), strict=True):
        assert {key: value for key, value in found.items() if key not in added} == {
            key: value for key, value in wanted.items() if key != "so_far"
        }
    extra = {name for name in result if name not in expected}
    assert extra == {*OF_TRIAL} - {"moved"}
    assert not any(name in row for row in plain_rows for name in MEASURED)


def test_each_alternation_is_judged_as_evaluate_would_judge_what_is_saved(storage, measured):
    what, rows, result = measured
    last = of_alternations(rows)[-1]
    content = read_tensors(what.storage, f"{what.folder}/aligned.pt")
    trial = Trial(changed(what, stages=("frozen",)), alone(CPU), Reports())
    trial.models.start_from(content, "aligned")
    # The same weights; the running statistics are of other views of the same pool.
    expected = evaluate_frozen(trial)
    assert last["lower_knn"] == pytest.approx(expected["knn20"]["top1"], abs=0.03)
    assert last["lower_probe"] == pytest.approx(expected["linear_probe"]["top1"], abs=0.05)
    start, aligned = (
        torch.cat([file["backbone"][name].double().flatten() for name, _ in trial.models.lower.named_parameters()])
        for file in (read_tensors(what.storage, START), content)
    )
    assert last["distance_pretrained"] == pytest.approx(float((aligned - start).norm() / start.norm()), rel=1e-12)
    assert {name: result[name] for name in MEASURED if name != "cka_upper"} == {
        name: last[name] for name in MEASURED if name != "cka_upper"
    }


@pytest.mark.slow
@pytest.mark.parametrize("way", ["lower_knn", "lower_probe"])
def test_what_is_measured_may_be_the_objective(storage, measured, way):
    """And nothing else changes by that, whether or not the rest is measured as well."""
    _, rows, _ = measured
    own, found = Reports(), renamed(order(storage, alternations=3, explore_by=way), way)
    run(found, reports=own)
    expected = [row[way] for row in of_alternations(rows)]
    assert [row["objective"] for row in of_alternations(own)] == expected
    assert expected != [row["objective"] for row in of_alternations(rows)]
    assert [row["upper_loss"] for row in of_alternations(own)] == [row["upper_loss"] for row in of_alternations(rows)]
    # Fine-tuning is judged as ever.
    assert [row["objective"] for row in own[3:]] == [row["objective"] for row in rows[3:]]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["joint", "continued"])
def test_what_stands_in_the_place_of_bissl_is_judged_so_too(storage, method):
    rows, changes = Reports(), {"explore_by": "lower_probe", "alignment_every": 1, "method": method}
    run(renamed(order(storage, stages=("head", "joint"), **changes), method), reports=rows)
    assert [row["objective"] for row in rows] == [row["lower_probe"] for row in rows] and len(rows) == 2


@pytest.mark.slow
def test_what_does_not_move_is_as_before(storage):
    what, rows = renamed(order(storage, stages=("head", "bissl"), alignment_every=1, lower_lr=0.0), "still"), Reports()
    result = run(what, reports=rows)
    for row in rows:
        assert row["distance_pretrained"] == 0 and row["cka_pretrained"] == pytest.approx(1, abs=1e-12)
        assert (row["lower_knn"], row["lower_probe"]) == (result["lower_knn_before"], result["lower_probe_before"])
        assert 0 < row["cka_upper"] < 1  # which moved


@pytest.mark.slow
@pytest.mark.parametrize(("every", "alternations", "expected"), [(1, 2, [1, 2]), (2, 5, [1, 2, 4, 5]), (9, 3, [1, 3])])
def test_the_first_and_the_last_are_always_measured(storage, every, alternations, expected):
    changes = {"alignment_every": every, "alternations": alternations, "cg_iterations": 0}
    rows = Reports()
    run(renamed(order(storage, stages=("bissl",), **changes), f"every-{every}"), reports=rows)
    assert [row["alternation"] for row in rows if "lower_knn" in row] == expected
    assert all(row["so_far"]["lower_knn"] is not None for row in rows)


@pytest.mark.slow
def test_its_time_is_counted_apart(storage, monkeypatch):
    real = alignment.AlignmentMeter._measured
    seen = []

    def slow(meter):
        seen.append(meter._trial.account.seconds)
        time.sleep(0.3)
        return real(meter)

    monkeypatch.setattr(alignment.AlignmentMeter, "_measured", slow)
    rows = Reports()
    run(renamed(order(storage, stages=("bissl",), alignment_every=1, cg_iterations=0), "apart"), reports=rows)
    assert rows[0]["alignment_seconds"] > 0.3 and rows[1]["alignment_seconds"] > 0.6
    for row, before in zip(rows, seen, strict=True):
        assert before <= row["seconds"] < before + 0.3
        assert row["so_far"]["alignment_seconds"] == row["alignment_seconds"]


@pytest.mark.slow
def test_an_interrupted_trial_measures_what_an_undisturbed_one_does(storage, measured, monkeypatch):
    save_always(monkeypatch)
    what, rows, result = measured
    assert_ends_alike_wherever_stopped(what, rows, result, (1, 2, 3, 5))  # 4 is the first of fine-tuning


@pytest.mark.slow
def test_without_what_it_started_from_it_cannot_go_on(storage, monkeypatch, tmp_path):
    save_always(monkeypatch)
    write_start(tmp_path)
    what = order(tmp_path, alignment_every=1)
    with pytest.raises(TrialStoppedError):
        run(what, reports=Reports(2))
    remove_file(str(tmp_path), START)
    with pytest.raises(FileNotFoundError, match=r"start\.pt: the alignment is measured against it"):
        run(what)


def test_fine_tuning_says_how_far_it_moved(storage, measured):
    what, rows, result = measured
    moved = [row["moved"] for row in rows if row["stage"] == "finetune"]
    models = Models.build(settings(), CPU)
    models.lower.load_state_dict(read_tensors(what.storage, f"{what.folder}/aligned.pt")["backbone"])
    start = weights_of(models.lower)
    models.lower.load_state_dict(read_tensors(what.storage, f"{what.folder}/finetuned.pt")["backbone"])
    assert moved[-1] == result["moved"] == pytest.approx(relative_distance(models.lower, start), rel=1e-12)
    assert 0 < moved[0] < moved[-1]
    assert not any("moved" in row for row in of_alternations(rows))


def test_a_task_without_classes_is_refused_in_a_line():
    check_task(registry.get_dataset("digits_scenes"), settings())
    with pytest.raises(BadInputError, match=r"alignment_every is 2, and .* has the task detection.*set it to 0"):
        check_task(registry.get_dataset("digits_scenes"), settings(alignment_every=2))
    with pytest.raises(BadInputError, match=r"explore_by is lower_knn, and .* has the task detection.*set it to upper"):
        check_task(registry.get_dataset("digits_scenes"), settings(explore_by="lower_knn"))
    check_task(registry.get_dataset("digits"), settings(alignment_every=2, explore_by="lower_probe"))


def test_a_backbone_that_broke_is_not_what_ends_the_trial(storage, monkeypatch):
    def broken(*_, **__):
        raise FloatingPointError("the features of 3 images are not finite")

    monkeypatch.setattr(alignment, "relative_distance", broken)
    rows = Reports()
    run(renamed(order(storage, stages=("bissl",), alignment_every=1, cg_iterations=0), "broken"), reports=rows)
    assert len(rows) == 2 and not any("lower_knn" in row for row in rows)


# Across workers, in double precision


def figures(rank=0, workers=1):
    """All that is measured of two backbones, on 90 labelled and 70 validation images."""
    torch.manual_seed(0)
    start = build_backbone("smallconv", "synchronised").double()
    moved = copy.deepcopy(start)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(160, 3, 8, 8, generator=generator, dtype=torch.float64)
    labels = torch.randint(4, (160,), generator=generator)
    images += labels[:, None, None, None]
    views = images[:32].split(32 // workers)[rank]
    task = ClassificationTask(start.feature_dim, 4).double()
    found = {}
    for name, backbone in (("start", start), ("moved", moved)):
        reestimate_statistics([backbone], backbone, iter([views]), 1)
        splits = []
        for low, high in ((0, 90), (90, 160)):
            first, last = (low + (high - low) * (rank + end) // workers for end in (0, 1))
            batches = [(images[first:last], labels[first:last])]
            splits.append(extract_features(backbone, task, batches))
        found[name] = compared_rows(splits[1]), frozen_fit(*splits, task, METRICS["top1"])
    return (
        *found["start"][1],
        *found["moved"][1],
        linear_cka(found["start"][0], found["moved"][0]),
        relative_distance(moved, weights_of(start)),
    )


@pytest.mark.slow
def test_two_workers_measure_what_one_does():
    expected = figures()
    assert expected[0] > 0.25 and 0 < expected[4] < 1 and expected[5] > 0
    for found in run_workers(figures, 2):
        assert found == pytest.approx(expected, rel=1e-9)


def _whole(rank, world_size, storage):
    rows = Reports()
    what = order(storage, stages=("bissl",), alignment_every=1, explore_by="lower_probe")
    run(what, Worker(rank, world_size, CPU), rows)
    assert all(row["objective"] == row["lower_probe"] for row in rows)
    return [{name: row[name] for name in MEASURED} for row in rows]


@pytest.mark.slow
def test_a_trial_on_two_workers_is_measured_alike(tmp_path):
    write_start(tmp_path / "two")
    first, second = run_workers(_whole, 2, str(tmp_path / "two"))
    assert first == second
    write_start(tmp_path / "one")
    for found, wanted in zip(first, _whole(0, 1, str(tmp_path / "one")), strict=True):
        for name in ("cka_pretrained", "cka_upper", "distance_pretrained"):
            assert found[name] == pytest.approx(wanted[name], rel=1e-4)  # training is in float32
        for name in ("lower_knn", "lower_probe"):
            assert found[name] == pytest.approx(wanted[name], abs=2.1 / 300)
