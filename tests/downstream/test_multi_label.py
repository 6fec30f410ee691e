"""Binary cross entropy over the classes that count, exact over workers' shares."""

import math

import pytest
import torch
from torch import nn

from bissl_ray.data.spec import UNCERTAIN
from bissl_ray.downstream.classification import ClassificationTask
from bissl_ray.downstream.multi_label import MultiLabelTask
from bissl_ray.errors import BadInputError
from bissl_ray.parallel import mean_over_workers
from tests.processes import run_workers

LABELS = torch.tensor(
    [[1, 0, 1], [0, UNCERTAIN, 1], [UNCERTAIN, UNCERTAIN, UNCERTAIN], [UNCERTAIN, UNCERTAIN, 0], [1, 1, 0], [0, 0, 1]]
)


def task_and_features():
    torch.manual_seed(1)
    task = MultiLabelTask(feature_dim=4, classes=3).double()
    return task, torch.randn(6, 4, dtype=torch.float64)


def by_hand(scores, labels):
    """The mean over the classes that count, in one image."""
    losses = [
        math.log1p(math.exp(-score if label == 1 else score))
        for score, label in zip(scores, labels, strict=True)
        if label != UNCERTAIN
    ]
    return sum(losses) / len(losses) if losses else 0.0


def expected():
    task, features = task_and_features()
    return [by_hand(s, row) for s, row in zip(task(features).tolist(), LABELS.tolist(), strict=True)]


def test_the_loss_of_an_image_is_the_mean_over_the_classes_that_count():
    task, features = task_and_features()
    assert task.loss_of_scores(task(features), LABELS).tolist() == pytest.approx(expected(), rel=1e-12)
    assert task.loss(nn.Identity(), (features, LABELS)).item() == pytest.approx(sum(expected()) / 6, rel=1e-12)


def test_what_does_not_count_has_no_gradient():
    task, features = task_and_features()
    scores = task(features).detach().requires_grad_()
    task.loss_of_scores(scores, LABELS).sum().backward()
    assert torch.equal(scores.grad == 0, LABELS == UNCERTAIN)


def test_its_second_derivative_is_right():
    task, features = task_and_features()
    inputs = features.clone().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: task.loss(nn.Identity(), (x, LABELS)), inputs)


def loss_and_gradients(features, labels):
    task, _ = task_and_features()
    loss = task.loss(nn.Identity(), (features, labels))
    return [loss.detach(), *torch.autograd.grad(loss, list(task.parameters()))]


def averaged(rank, workers):
    _, features = task_and_features()
    return mean_over_workers(loss_and_gradients(features.chunk(workers)[rank], LABELS.chunk(workers)[rank]))


@pytest.mark.parametrize("workers", [2, 3])
def test_the_mean_over_workers_is_that_of_the_whole_batch(workers):
    # The shares have unequal numbers of counted labels.
    _, features = task_and_features()
    whole = loss_and_gradients(features, LABELS)
    for found in run_workers(averaged, workers):
        for tensor, wanted in zip(found, whole, strict=True):
            torch.testing.assert_close(tensor, wanted, rtol=1e-12, atol=1e-15)


SHARES = {1: [6], 2: [6, 0], 4: [0, 4, 1, 1]}


def evaluated(rank, workers):
    task, features = task_and_features()
    own = [table.split(SHARES[workers])[rank] for table in (features, LABELS)]
    batches = zip(*(table.split(2) for table in own), strict=True) if len(own[0]) else []
    return task.evaluate(nn.Identity(), batches)


@pytest.mark.parametrize("workers", [2, 4])
def test_evaluation_counts_every_image_once_for_any_number_of_workers(workers):
    alone = evaluated(0, 1)
    assert alone["loss"] == pytest.approx(sum(expected()) / 6, rel=1e-12)
    assert list(alone) == ["map11", "map", "loss"]
    for found in run_workers(evaluated, workers):
        assert found == pytest.approx(alone, rel=1e-12)


def test_labels_of_another_task_are_refused():
    scores = torch.zeros(2, 3)
    with pytest.raises(BadInputError, match=r"labels of shape \(2,\) for multi_label; expected \(2, 3\)"):
        MultiLabelTask(4, 3).loss_of_scores(scores, torch.tensor([0, 1]))
    with pytest.raises(BadInputError, match=r"labels of shape \(2, 3\) for classification"):
        ClassificationTask(4, 3).loss_of_scores(scores, torch.zeros(2, 3).long())
