"""Weight decay towards where fine-tuning starts: as torch differentiates the explicit sum, and when it is resumed."""

import copy
import math

import pytest
import torch
from torch.nn import functional as F

from bissl_ray.progress import TrialStoppedError
from bissl_ray.training.files import SavedProgress
from bissl_ray.training.stages.finetune import fine_tuning, near_start
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import Worker
from tests.processes import run_workers
from tests.training.small_trial import (
    Reports,
    assert_ends_alike_wherever_stopped,
    order,
    renamed,
    run,
    save_always,
    write_start,
)

pytestmark = pytest.mark.slow

WEIGHT, DECAY, RATE, MOMENTUM, CLIP, STEPS = 0.7, 0.02, 0.3, 0.9, 0.4, 5


def batches():
    """Images of 8 pixels and their labels, 20 at a time."""
    generator = torch.Generator().manual_seed(6)
    return [
        (torch.randn(20, 3, 8, 8, dtype=torch.float64, generator=generator), torch.arange(20) % 10)
        for _ in range(STEPS)
    ]


def trial_of(storage, rank=0, workers=1, weight=WEIGHT) -> Trial:
    asked = order(
        storage,
        precision="float32",
        finetune_l2_sp=weight,
        finetune_weight_decay=DECAY,
        finetune_lr=RATE,
        finetune_momentum=MOMENTUM,
        clip_norm=CLIP,
    )
    # A name of its own: one of the same name would go on from what the other saved.
    asked = renamed(asked, f"{workers}-workers-{weight}")
    trial = Trial(asked, Worker(rank, workers, torch.device("cpu")), Reports())
    trial.begin()
    trial.data.close()
    for module in (trial.models.lower, trial.models.downstream):
        module.double().train()
    return trial


def flat(*modules):
    return torch.cat([parameter.detach().reshape(-1) for module in modules for parameter in module.parameters()])


def tuned(rank, workers, storage, weight=WEIGHT):
    """Backbone and head after the steps of a worker that takes its share of each batch."""
    trial = trial_of(storage, rank, workers, weight)
    shares = [(images.chunk(workers)[rank], labels.chunk(workers)[rank]) for images, labels in batches()]
    reported = []
    fine_tuning(trial, STEPS).run(iter(shares), [STEPS], reported.append)
    return flat(trial.models.lower), flat(trial.models.downstream), reported[0]


def by_autograd(storage):
    """The same by torch alone: the gradient of the whole sum, torch's own clipping and momentum."""
    models = copy.deepcopy(trial_of(storage).models)
    lower, head = models.lower, models.downstream
    began = [parameter.detach().clone() for parameter in lower.parameters()]
    parameters = [*lower.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    losses = []
    for step, (images, labels) in enumerate(batches()):
        loss = F.cross_entropy(head(lower(images)), labels)
        held = sum(((now - then) ** 2).sum() for now, then in zip(lower.parameters(), began, strict=True))
        optimizer.zero_grad()
        (loss + WEIGHT / 2 * held).backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / STEPS)) / 2
        optimizer.step()
        losses.append(loss.item())
    return flat(lower), flat(head), sum(losses) / STEPS, torch.cat([then.reshape(-1) for then in began])


def test_it_is_the_gradient_of_the_explicit_sum_on_one_worker_and_on_two(tmp_path):
    write_start(tmp_path)
    backbone, head, loss, began = by_autograd(tmp_path)
    results = [tuned(0, 1, tmp_path), *run_workers(tuned, 2, str(tmp_path))]
    for found in results:
        torch.testing.assert_close(found[0], backbone, rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(found[1], head, rtol=1e-9, atol=1e-11)
        # What is reported is the loss on the labels, without what holds the backbone.
        assert found[2] == pytest.approx(loss, rel=1e-6)
    free = tuned(0, 1, tmp_path, weight=0.0)[0]
    assert (backbone - began).norm() < 0.95 * (free - began).norm()


def test_a_resumed_run_is_held_near_the_same_start(tmp_path, monkeypatch):
    save_always(monkeypatch)
    write_start(tmp_path)
    # Fine-tuning follows BiSSL in the same trial: its start is in no file but the trial's own.
    whole = order(tmp_path, finetune_epochs=2, finetune_l2_sp=2.0, finetune_lr=0.2)
    every = Reports()
    result = run(whole, reports=every)
    assert_ends_alike_wherever_stopped(whole, every, result, range(3, len(every) + 1, 2))


def test_what_is_saved_without_it_is_as_before(tmp_path, monkeypatch):
    save_always(monkeypatch)
    write_start(tmp_path)
    for name, weight in (("free", 0.0), ("held", 0.5)):
        asked = renamed(order(tmp_path, stages=("head", "finetune"), finetune_l2_sp=weight), name)
        with pytest.raises(TrialStoppedError):
            run(asked, reports=Reports(2))
        content = SavedProgress(asked.storage, asked.folder).load()
        assert content is not None
        assert ("start" in content["state"]) == bool(weight)


def test_every_tensor_of_the_backbone_is_held(tmp_path):
    write_start(tmp_path)
    lower = trial_of(tmp_path).models.lower
    near = near_start(lower, 0.25)
    with torch.no_grad():
        for parameter in lower.parameters():
            parameter += 2.0
    assert near is not None and near_start(lower, 0.0) is None
    assert [bool((gradient == 0.5).all()) for gradient in near.gradient()] == [True] * len(list(lower.parameters()))
