"""Fine-tuning of the head alone: the backbone stands still, bit for bit, and all else is as in fine-tuning."""

import pytest
import torch

from bissl_ray.training.files import read_tensors
from bissl_ray.training.stages.finetune import finetune
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import Worker, alone
from tests.processes import run_workers
from tests.training.small_trial import (
    START,
    Reports,
    assert_bit_equal,
    assert_ends_alike_wherever_stopped,
    order,
    renamed,
    run,
    save_always,
    write_start,
)

pytestmark = pytest.mark.slow

HEAD = {"finetune_part": "head", "finetune_epochs": 2, "finetune_lr": 0.3}


def backbone_of(storage, path):
    content = read_tensors(str(storage), path)
    assert content is not None
    return content["backbone"]


def test_the_backbone_stands_still_bit_for_bit(tmp_path):
    write_start(tmp_path)
    whole, still = (
        renamed(order(tmp_path, stages=("head", "finetune"), **{**HEAD, "finetune_part": part}), part)
        for part in ("all", "head")
    )
    rows, others = Reports(), Reports()
    run(still, reports=rows)
    run(whole, reports=others)
    begun = backbone_of(tmp_path, START)
    # Weights and running statistics.
    assert_bit_equal(backbone_of(tmp_path, f"{still.folder}/finetuned.pt"), begun)
    moved = backbone_of(tmp_path, f"{whole.folder}/finetuned.pt")
    assert all(not torch.equal(moved[name], tensor) for name, tensor in begun.items() if tensor.is_floating_point())
    # The same steps, the same reports.
    assert [(row["stage"], row["epoch"]) for row in rows] == [(row["stage"], row["epoch"]) for row in others]
    file = read_tensors(str(tmp_path), f"{still.folder}/finetuned.pt")
    assert file is not None
    assert file["metadata"]["statistics"] == "those that fine-tuning began with"


def test_each_step_is_the_closed_form_of_a_linear_head(tmp_path):
    # The gradient of the mean cross entropy of a linear layer: (softmax − one-hot)ᵀ features / n.
    write_start(tmp_path)
    plain = {"clip_norm": None, "finetune_momentum": 0.0, "finetune_weight_decay": 0.0, "precision": "float32"}
    asked = order(tmp_path, stages=("finetune",), **{**HEAD, **plain, "finetune_epochs": 1, "finetune_batch": 100})
    trial = Trial(asked.model_copy(update={"keep_models": False}), alone(torch.device("cpu")), Reports())
    trial.begin()
    lower, head = trial.models.lower, trial.models.downstream.head
    with trial.data.labelled("finetune", 100, 0) as batches:
        images, labels = next(batches)
    with torch.no_grad():
        features = lower.eval()(images)
        wrong = torch.softmax(head(features), dim=1) - torch.nn.functional.one_hot(labels, 10)
        expected = head.weight - 0.3 * wrong.T @ features / len(images)
        offsets = head.bias - 0.3 * wrong.mean(dim=0)
    finetune(trial, None)
    trial.data.close()
    assert trial.data.labelled_steps(100) == 1
    torch.testing.assert_close(head.weight, expected)
    torch.testing.assert_close(head.bias, offsets)
    # What was frozen for its steps may be trained again.
    assert all(parameter.requires_grad for parameter in lower.parameters())


def test_a_resumed_run_ends_bit_equal(tmp_path, monkeypatch):
    save_always(monkeypatch)
    write_start(tmp_path)
    whole = order(tmp_path, **HEAD)
    every = Reports()
    result = run(whole, reports=every)
    assert_ends_alike_wherever_stopped(whole, every, result, (3, 4, len(every)))


def heads(rank, workers, storage):
    """Losses and scores, and what was saved, of fine-tuning that several workers share."""
    asked = renamed(order(storage, stages=("head", "finetune"), **HEAD), f"on-{workers}")
    rows = Reports()
    run(asked, Worker(rank, workers, torch.device("cpu")), rows)
    return [(row["train_loss"], row["objective"]) for row in rows], f"{asked.folder}/finetuned.pt"


def test_two_workers_do_what_one_does(tmp_path):
    write_start(tmp_path)
    alone_, path = heads(0, 1, str(tmp_path))
    (found, shared), other = run_workers(heads, 2, str(tmp_path))
    assert (found, shared) == other
    for (loss, score), (expected, wanted) in zip(found, alone_, strict=True):
        assert loss == pytest.approx(expected, rel=1e-5)
        assert score == pytest.approx(wanted, abs=2.1 / 300)
    assert_bit_equal(backbone_of(tmp_path, shared), backbone_of(tmp_path, path))
