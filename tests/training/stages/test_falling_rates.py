"""Fine-tuning's rates fall with depth below the head: a part's step is the common one times its factor."""

import pytest
import torch

from bissl_ray.models.backbones import build_backbone
from bissl_ray.training.stages.finetune import falling_rates, fine_tuning
from bissl_ray.training.stages.steps import plain_sgd
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import alone
from tests.training.small_trial import Reports, order, renamed, write_start


def step_of(tmp_path, decay):
    """Each parameter's first step of fine-tuning, with its part ("head": of the head)."""
    # Each a trial of its own: one of the same name would go on from what the other saved.
    asked = renamed(
        order(tmp_path, finetune_layer_decay=decay, finetune_lr=0.5, finetune_weight_decay=0.01), str(decay)
    )
    trial = Trial(asked.model_copy(update={"keep_models": False}), alone(torch.device("cpu")), Reports())
    trial.begin()
    lower, head = trial.models.lower, trial.models.downstream
    run = fine_tuning(trial, 6)
    parameters = [*lower.parameters(), *head.parameters()]
    before = [parameter.detach().clone() for parameter in parameters]
    with trial.data.labelled("finetune", 20, 0) as batches:
        run.run(batches, [1], report=lambda _: None)
    trial.data.close()
    parts = [*lower.parameter_parts(), *["head"] * len(list(head.parameters()))]
    return [(part, new.detach() - old) for part, new, old in zip(parts, parameters, before, strict=True)]


def test_each_part_takes_its_share_of_the_step(tmp_path):
    write_start(tmp_path)
    share = {"head": 1.0, "layer3": 0.5, "layer2": 0.25, "layer1": 0.125, "stem": 0.0625}
    common, falling = step_of(tmp_path, 1.0), step_of(tmp_path, 0.5)
    assert {part for part, _ in common} == set(share)
    for (part, whole), (_, own) in zip(common, falling, strict=True):
        assert whole.norm() > 0
        torch.testing.assert_close(own, whole * share[part], rtol=1e-4, atol=1e-7)


def test_every_backbone_has_a_rate_for_each_tensor():
    for name, parts in (("resnet18", 5), ("vit_ti_16", None)):
        backbone = build_backbone(name, image_size=32)
        rates = falling_rates(backbone, 0.5)
        assert len(rates) == len(list(backbone.parameters()))
        assert max(rates) == 0.5 and min(rates) == 0.5 ** len(backbone.parts)
        assert parts is None or len(backbone.parts) == parts


def test_a_resumed_schedule_keeps_the_rates_apart():
    def stepper():
        parameters = [torch.nn.Parameter(torch.ones(2, dtype=torch.float64)) for _ in range(3)]
        return plain_sgd(parameters, 4, None, 2, (0.25, 1.0, 0.25), lr=0.1, momentum=0.9), parameters

    whole, expected = stepper()
    for _ in range(4):
        whole.step([torch.ones(2, dtype=torch.float64)] * 3)
    first, parameters = stepper()
    for _ in range(2):
        first.step([torch.ones(2, dtype=torch.float64)] * 3)
    second, resumed = stepper()
    for new, old in zip(resumed, parameters, strict=True):
        new.data.copy_(old.data)
    second.load_state_dict(first.state_dict())
    for _ in range(2):
        second.step([torch.ones(2, dtype=torch.float64)] * 3)
    for one, other in zip(expected, resumed, strict=True):
        assert torch.equal(one, other)
    assert (1 - expected[0]).tolist() == pytest.approx(((1 - expected[1]) / 4).tolist(), rel=1e-12)
