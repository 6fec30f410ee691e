import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score
from torch import nn

from bissl_ray.downstream.classification import AccuracyTally, ClassificationTask
from bissl_ray.errors import BadInputError
from bissl_ray.metrics import METRICS, Metric, in_words
from bissl_ray.models import build_backbone
from bissl_ray.parallel import rank, world_size
from tests.processes import run_workers

# The identity as head makes the images the scores. Class 2 never occurs; of class 0 three in four are
# right, of class 1 none in one, of class 3 one in two: top-1 is 4/7, mean per class (3/4 + 0 + 1/2) / 3.
LABELS = torch.tensor([0, 0, 0, 0, 1, 3, 3])
PREDICTED = torch.tensor([0, 0, 0, 1, 2, 3, 0])
SCORES = 2.0 * nn.functional.one_hot(PREDICTED, 4).double()


def identity_task():
    task = ClassificationTask(4, 4).double()
    nn.init.eye_(task.head.weight)
    nn.init.zeros_(task.head.bias)
    return task


def batches(*sizes):
    return list(zip(SCORES.split(sizes), LABELS.split(sizes), strict=True))


def evaluate_shares(shares):
    """Worker r evaluates the batches whose positions shares[r] lists."""
    own = [batches(3, 2, 2)[position] for position in shares[rank()]]
    return world_size(), identity_task().evaluate(nn.Identity(), own)


def evaluate_model():
    """A model with synchronised batch norm, whose workers make unequal numbers of forwards."""
    torch.manual_seed(0)
    backbone = build_backbone("smallconv").double()
    images = torch.randn(7, 3, 8, 8, dtype=torch.float64)
    task = ClassificationTask(64, 4).double()
    own = list(zip(images.split(1), LABELS.split(1), strict=True))[rank() :: world_size()]
    return task.evaluate(backbone, own)


def test_figures_are_those_computed_by_hand():
    found = identity_task().evaluate(nn.Identity(), batches(3, 2, 2))
    log_sum = torch.logsumexp(torch.tensor([2.0, 0.0, 0.0, 0.0], dtype=torch.float64), 0)
    assert found == {
        "top1": pytest.approx(4 / 7, rel=1e-15),
        "mean_per_class": pytest.approx((3 / 4 + 0 + 1 / 2) / 3, rel=1e-15),
        "loss": pytest.approx(float(log_sum) - 2 * 4 / 7, rel=1e-12),
    }


SHARES = {2: [[[0], [1, 2]], [[], [0, 1, 2]]], 4: [[[0], [], [1, 2], []], [[], [0], [1], [2]]]}


def run_all(rank, count):
    uneven, one_without_any = (evaluate_shares(shares) for shares in SHARES[count])
    return uneven, one_without_any, evaluate_model()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 4])
def test_workers_with_uneven_or_empty_shares_agree_with_one(workers):
    alone = identity_task().evaluate(nn.Identity(), batches(3, 2, 2))
    model_alone = evaluate_model()
    for uneven, one_without_any, model in run_workers(run_all, workers):
        for world, found in (uneven, one_without_any):
            assert world == workers
            assert found == pytest.approx(alone, rel=1e-14)
        assert model == pytest.approx(model_alone, rel=1e-12)


def test_top_5_and_the_mean_over_classes_equal_scikit_learns():
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(200, 9, generator=generator, dtype=torch.float64)
    labels = torch.randint(9, (200,), generator=generator)
    tally = AccuracyTally(9, torch.device("cpu"))
    for batch in zip(scores.split(64), labels.split(64), strict=True):
        tally.add(*batch)
    assert tally.figures() == {
        "top1": pytest.approx(top_k_accuracy_score(labels, scores, k=1, labels=range(9)), rel=1e-12),
        "top5": pytest.approx(top_k_accuracy_score(labels, scores, k=5, labels=range(9)), rel=1e-12),
        "mean_per_class": pytest.approx(balanced_accuracy_score(labels, scores.argmax(1)), rel=1e-12),
    }


def test_of_equal_scores_the_lower_class_comes_first_and_no_number_is_no_hit():
    tally = AccuracyTally(7, torch.device("cpu"))
    equal = torch.zeros(3, 7)
    equal[2] = torch.nan
    tally.add(equal, torch.tensor([0, 5, 0]))
    assert tally.figures() == pytest.approx({"top1": 1 / 3, "top5": 1 / 3, "mean_per_class": (1 / 2 + 0) / 2})


def test_modes_are_restored_and_nothing_is_moved():
    backbone = build_backbone("smallconv")
    backbone.layer1.eval()
    task = ClassificationTask(64, 4)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    task.evaluate(backbone, [(torch.randn(2, 3, 8, 8), torch.tensor([0, 1]))])
    assert backbone.training and task.training
    assert not backbone.layer1[1].training
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())
    assert all(parameter.grad is None for parameter in backbone.parameters())


def test_an_empty_split_is_refused():
    with pytest.raises(BadInputError, match="no images to evaluate"):
        identity_task().evaluate(nn.Identity(), [])


def test_an_objective_in_words(monkeypatch):
    monkeypatch.setitem(METRICS, "error", Metric("error", "mean error", larger_is_better=False, share=False))
    assert in_words("validation_top1", 0.9431) == "top-1 94.3%"
    assert in_words(METRICS["error"].objective_name, METRICS["error"].objective(0.25)) == "mean error 0.25"
    # Nobody here knows in which unit it is.
    assert in_words("validation_of_another", 0.5) == "of_another 0.5"
    assert in_words("validation_neg_of_another", -0.5) == "of_another 0.5"
