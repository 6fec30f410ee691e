import math

import pytest
import torch

from bissl_ray.downstream import build_downstream
from bissl_ray.errors import BadInputError


def test_loss_is_the_mean_cross_entropy():
    task = build_downstream("classification", feature_dim=2, classes=3).double()
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
        heads.append(build_downstream("classification", 8, 4).head.weight)
    assert torch.equal(*heads)


def test_bad_input_is_named():
    with pytest.raises(BadInputError, match=r"unknown downstream task 'clasification'.*'classification'\?"):
        build_downstream("clasification", 8, 4)
    with pytest.raises(BadInputError, match="1 classes"):
        build_downstream("classification", 8, 1)
