"""Neighbours and linear probes on frozen features, against scikit-learn and plain Python, on 1, 2 and 4 workers."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from bissl_ray.data.datasets import registry
from bissl_ray.data.spec import UNCERTAIN
from bissl_ray.downstream.classification import ClassificationTask
from bissl_ray.downstream.multi_label import MultiLabelTask
from bissl_ray.errors import BadInputError
from bissl_ray.training.evaluation.features import Features, extract_features
from bissl_ray.training.evaluation.knn import knn
from bissl_ray.training.evaluation.linear_probe import linear_probe, probe_metrics
from bissl_ray.training.evaluation.scoring import evaluate_frozen
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import Worker, alone
from tests.processes import run_workers
from tests.training import several_labels
from tests.training.small_trial import Reports, changed, order, write_start

pytestmark = pytest.mark.slow
PENALTIES = (1.0, 0.1, 0.01)
SIZES = (300, 100, 150)
# Shares of (training, validation, judged) images by worker: uneven, and empty.
SHARES = {
    1: [(300,), (100,), (150,)],
    2: [(120, 180), (100, 0), (1, 149)],
    4: [(0, 10, 290, 0), (30, 30, 0, 40), (0, 0, 50, 100)],
}


def digits(several=False):
    """Rows and labels of three splits, in double precision."""
    pixels, classes = load_digits(return_X_y=True)
    rows = torch.from_numpy(pixels[: sum(SIZES)])
    labels = torch.from_numpy(classes[: sum(SIZES)])
    if several:
        labels = torch.tensor([several_labels.label_of(int(digit)) for digit in labels])
    return [Features(*pair) for pair in zip(rows.split(SIZES), labels.split(SIZES), strict=True)]


def task_for(several=False):
    torch.manual_seed(0)
    return (MultiLabelTask(64, 4) if several else ClassificationTask(64, 10)).double()


def own_share(rank, workers, several):
    """This worker's share of each split, as extraction leaves it."""
    found = []
    for split, sizes in zip(digits(several), SHARES[workers], strict=True):
        rows, labels = split.rows.split(sizes)[rank], split.labels.split(sizes)[rank]
        batches = zip(rows.split(64), labels.split(64), strict=True) if len(rows) else []
        found.append(extract_features(nn.Identity(), task_for(several), batches))
    return found


def judged_both_ways(rank, workers, several):
    train, validation, judged = own_share(rank, workers, several)
    task = task_for(several)
    probe = linear_probe(train, validation, task, "map11" if several else "top1", PENALTIES)
    neighbours = knn(train, judged, task, (1, 20, 500))
    return probe_metrics(probe.task, judged), probe.penalty, probe.validation, neighbours


@pytest.mark.parametrize("k", [1, 5, 20, 300])
def test_neighbours_vote_as_scikit_learns_do(k):
    train, _, judged = digits()
    reference = KNeighborsClassifier(k, metric="cosine", weights=lambda d: np.exp((1 - d) / 0.07))
    reference.fit(train.rows, train.labels)
    votes = reference.predict_proba(judged.rows)
    right = (votes.argmax(1) == judged.labels.numpy()).mean()
    own = np.take_along_axis(votes, judged.labels.numpy()[:, None], 1)
    before = (votes > own).sum(1) + ((votes == own) & (np.arange(10) < judged.labels.numpy()[:, None])).sum(1)
    (found,) = knn(train, judged, task_for(), [k])
    assert found["top1"] == pytest.approx(right, rel=1e-12)
    assert found["top5"] == pytest.approx((before < 5).mean(), rel=1e-12)
    assert "loss" not in found


def test_neighbours_that_are_alike_all_vote_whatever_their_order():
    # Of three equally near, k is two: class 1 has two of their votes.
    near, far = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    task = ClassificationTask(2, 3)
    for order_ in ([0, 1, 1], [1, 0, 1], [1, 1, 0]):
        train = Features(torch.cat([2 * near, near, near, far]), torch.tensor([*order_, 2]))
        assert knn(train, Features(near, torch.tensor([1])), task, [2])[0]["top1"] == 1


def test_votes_for_several_classes_are_shares_of_the_neighbours_that_count():
    train, _, judged = digits(several=True)
    (found,) = knn(train, judged, task_for(several=True), [20])
    known, rows = (nn.functional.normalize(split.rows, dim=1) for split in (train, judged))
    expected = []
    for number in range(4):
        scores, shown = [], []
        for row, label in zip(rows, judged.labels, strict=True):
            if label[number] == UNCERTAIN:
                continue
            similarity = (known @ row).tolist()
            nearest = sorted(range(len(known)), key=lambda i: -similarity[i])[:20]
            weights = {i: math.exp(similarity[i] / 0.07) for i in nearest if train.labels[i, number] != UNCERTAIN}
            votes = sum(w for i, w in weights.items() if train.labels[i, number] == 1)
            scores.append(votes / sum(weights.values()) if weights else 0.0)
            shown.append(int(label[number]))
        expected.append(average_precision_score(shown, scores))
    assert found["map"] == pytest.approx(sum(expected) / 4, rel=1e-9)


def standardised(train, other):
    mean, deviation = train.rows.mean(0), train.rows.std(0, correction=0)
    deviation = deviation.where(deviation > 0, 1)
    return [((split.rows - mean) / deviation).numpy() for split in (train, other)]


@pytest.mark.parametrize("penalty", [1.0, 0.01, 1e-3])
def test_a_probe_is_scikit_learns_logistic_regression(penalty):
    train, validation, _ = digits()
    probe = linear_probe(train, validation, task_for(), "top1", [penalty])
    rows, others = standardised(train, validation)
    reference = LogisticRegression(C=1 / (penalty * len(train)), tol=1e-10, max_iter=10000).fit(rows, train.labels)
    expected = torch.from_numpy(reference.decision_function(others))
    scores = probe.task(validation.rows)
    # Logits are given up to a constant for each image; with a penalty on the weights only the biases' mean is free.
    torch.testing.assert_close(
        scores - scores.mean(1, keepdim=True), expected - expected.mean(1, keepdim=True), rtol=1e-4, atol=1e-3
    )
    assert probe.validation == {penalty: pytest.approx(reference.score(others, validation.labels), rel=1e-12)}


def test_a_probe_for_several_classes_is_one_regression_for_each():
    train, validation, _ = digits(several=True)
    probe = linear_probe(train, validation, task_for(several=True), "map11", [0.01])
    rows, others = standardised(train, validation)
    scores = probe.task(validation.rows)
    counting = (train.labels != UNCERTAIN).sum(1)
    for number in range(4):
        counted = train.labels[:, number] != UNCERTAIN
        # An image's loss is the mean over the classes that count in it.
        reference = LogisticRegression(C=1 / (0.01 * len(train)), tol=1e-10, max_iter=10000)
        reference.fit(rows[counted], train.labels[counted, number], 1 / counting[counted].numpy())
        expected = torch.from_numpy(reference.decision_function(others))
        torch.testing.assert_close(scores[:, number], expected, rtol=1e-4, atol=1e-4)


def test_a_probe_takes_its_features_a_part_at_a_time(monkeypatch):
    train, validation, _ = digits()
    expected = linear_probe(train, validation, task_for(), "top1", [0.01]).task(validation.rows)
    monkeypatch.setattr("bissl_ray.training.evaluation.linear_probe._VALUES_AT_ONCE", 7 * 64)
    single = Features(train.rows.float(), train.labels)
    for features in (train, single):
        found = linear_probe(features, validation, task_for(), "top1", [0.01]).task(validation.rows)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_neighbours_of_very_many_classes_take_no_table_of_them():
    # A table of a number for each image and class would be 8 GB.
    classes = 10**6
    labels = torch.arange(1000) * 1000
    train = Features(torch.randn(1000, 2, generator=torch.Generator().manual_seed(0)), labels)
    assert knn(train, Features(train.rows[:3], labels[:3]), ClassificationTask(2, classes), [1])[0]["top1"] == 1


def test_the_penalty_is_the_best_on_validation_and_the_largest_of_equals():
    train, validation, judged = digits()
    task = task_for()
    before = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    probe = linear_probe(train, validation, task, "top1", PENALTIES)
    assert list(probe.validation) == [1.0, 0.1, 0.01]
    assert probe.penalty == max(p for p, score in probe.validation.items() if score == max(probe.validation.values()))
    assert probe_metrics(probe.task, validation)["top1"] == probe.validation[probe.penalty]
    assert probe_metrics(probe.task, judged)["top1"] > 0.75
    assert all(torch.equal(tensor, before[name]) for name, tensor in task.state_dict().items())


@pytest.mark.parametrize("several", [False, True], ids=["one class", "several classes"])
def test_workers_with_uneven_and_empty_shares_find_what_one_does(several):
    figures, penalty, validation, neighbours = judged_both_ways(0, 1, several)
    for workers in (2, 4):
        for found in run_workers(judged_both_ways, workers, several):
            assert found[0] == pytest.approx(figures, rel=1e-5)
            assert found[1:3] == (penalty, pytest.approx(validation, rel=1e-12))
            assert found[3] == [pytest.approx(figure, rel=1e-12) for figure in neighbours]


def probe_where_only_worker_0_decides(rank, workers):
    """Validation scores and weights of a probe; a worker that decided for itself would fail, but for worker 0."""
    train, validation, _ = own_share(rank, workers, several=False)
    if rank > 0:
        torch.optim.LBFGS = None
    probe = linear_probe(train, validation, task_for(), "top1", PENALTIES)
    return probe.validation, probe.penalty, probe.task.head.weight.tolist(), probe.task.head.bias.tolist()


def test_one_worker_decides_for_all():
    first, second = run_workers(probe_where_only_worker_0_decides, 2)
    assert first == second


def frozen_of_trial(rank, workers, storage, dataset):
    registry.DATASETS["attributes"] = several_labels.SPEC
    worker = Worker(rank, workers, torch.device("cpu")) if workers > 1 else alone(torch.device("cpu"))
    what = changed(order(storage, stages=("head",)), dataset=dataset)
    trial = Trial(what, worker, Reports())
    trial.begin()
    found = {**evaluate_frozen(trial), "on test": evaluate_frozen(trial, "test", ["knn"])["knn20"]}
    trial.data.close()
    return found


@pytest.mark.parametrize("dataset", ["digits", "attributes"])
def test_a_trials_backbone_is_judged_alike_on_two_workers(tmp_path, monkeypatch, dataset):
    monkeypatch.setitem(registry.DATASETS, "attributes", several_labels.SPEC)
    write_start(tmp_path)
    alone_ = frozen_of_trial(0, 1, tmp_path, dataset)
    # There are a hundred labelled digits.
    assert list(alone_) == ["knn20", "knn100", "linear_probe", "on test"]
    metric = registry.get_dataset(dataset).metric
    assert all(0.2 < figures[metric] < 1 for figures in alone_.values())
    for found in run_workers(frozen_of_trial, 2, tmp_path, dataset):
        for name, figures in alone_.items():
            assert found[name] == pytest.approx(figures, abs=0.01)


def test_what_cannot_be_judged_is_refused():
    train, validation, judged = digits()
    task = task_for()
    nothing = Features(train.rows[:0], train.labels[:0])
    with pytest.raises(BadInputError, match=r"called 'linear'; .* did you mean 'linear_probe'"):
        evaluate_frozen(None, ways=["linear"])
    with pytest.raises(BadInputError, match="0 neighbours"):
        knn(train, judged, task, [20, 0])
    with pytest.raises(BadInputError, match="temperature of the votes is 0"):
        knn(train, judged, task, [5], 0.0)
    for pair in ((nothing, judged), (train, nothing)):
        with pytest.raises(BadInputError, match="no images"):
            knn(*pair, task)
        with pytest.raises(BadInputError, match="no images"):
            linear_probe(*pair, task, "top1")
    with pytest.raises(BadInputError, match=r"penalties of the linear probe are \[1, 0\]"):
        linear_probe(train, validation, task, "top1", [1, 0])
    broken = train.rows.clone()
    broken[3, 5] = torch.inf
    with pytest.raises(FloatingPointError, match="features of 1 images are not finite") as caught:
        extract_features(nn.Identity(), task, [(broken, train.labels)])
    assert caught.value.in_step
