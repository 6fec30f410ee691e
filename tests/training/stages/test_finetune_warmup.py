"""The learning rate of fine-tuning: it rises through the warm-up, if there is one, and then falls."""

import pytest
import torch

from bissl_ray.optim import Stepper
from bissl_ray.training.stages.finetune import finetune
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import alone
from tests.training.small_trial import Reports, order, write_start

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("warmup", "expected"),
    [(2, [0.25, 0.5, 0.75, 1.0, 1.0, 0.5]), (0, [1.0, 0.933, 0.75, 0.5, 0.25, 0.067]), (9, [1 / 18, 2 / 18, 3 / 18])],
)
def test_it_rises_through_the_warm_up(tmp_path, monkeypatch, warmup, expected):
    rates, step = [], Stepper.step

    def seen(self, gradients):
        norm = step(self, gradients)
        rates.append(self.lr)
        return norm

    monkeypatch.setattr(Stepper, "step", seen)
    write_start(tmp_path)
    asked = order(tmp_path, finetune_epochs=3, finetune_batch=50, finetune_warmup=warmup, finetune_lr=1.0)
    trial = Trial(asked.model_copy(update={"keep_models": False}), alone(torch.device("cpu")), Reports())
    trial.begin()
    finetune(trial, None)
    trial.data.close()
    assert rates[: len(expected)] == pytest.approx(expected, abs=1e-3) and len(rates) == 6
