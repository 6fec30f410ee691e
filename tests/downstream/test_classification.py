import math

import pytest
import torch

from bissl_ray.config.settings import Settings
from bissl_ray.downstream import downstream_task
from bissl_ray.downstream.classification import ClassificationTask
from bissl_ray.errors import BadInputError
from bissl_ray.models import build_backbone


def test_loss_is_the_mean_cross_entropy():
    task = ClassificationTask(feature_dim=2, classes=3).double()
    images = torch.tensor([[1.0, 2.0], [0.5, -1.0]], dtype=torch.float64)
    labels = torch.tensor([2, 0])
    logits = (images @ task.head.weight.T + task.head.bias).tolist()
    by_hand = [
        math.log(sum(math.exp(score) for score in scores)) - scores[label]
        for scores, label in zip(logits, labels.tolist(), strict=True)
    ]
    assert task.loss(torch.nn.Identity(), (images, labels)).item() == pytest.approx(sum(by_hand) / 2, rel=1e-12)


def test_the_same_seed_gives_the_same_head():
    heads = []
    for _ in range(2):
        torch.manual_seed(3)
        heads.append(downstream_task("classification").build(build_backbone("smallconv"), 4, Settings()).head.weight)
    assert torch.equal(*heads) and heads[0].shape == (4, 64)


def test_bad_input_is_named():
    with pytest.raises(BadInputError, match=r"unknown downstream task 'clasification'.*'classification'\?"):
        downstream_task("clasification")
    for name in ("classification", "multi_label"):
        with pytest.raises(BadInputError, match="1 classes"):
            downstream_task(name)(8, 1)
        with pytest.raises(BadInputError, match="no classes cannot be told apart"):
            downstream_task(name)(8, None)
