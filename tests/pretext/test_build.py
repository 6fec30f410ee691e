"""The names that a trial can give, and what every task owes to the protocol."""

import math

import pytest
import torch

from bissl_ray.config.names import PRETEXTS
from bissl_ray.config.settings import Settings
from bissl_ray.models import build_backbone
from bissl_ray.pretext import build_pretext, pretext_names
from bissl_ray.training.evaluation.embeddings import embedding_statistics, measure_embeddings


def build(pretext):
    torch.manual_seed(0)
    settings = Settings(backbone="smallconv", pretext=pretext, projector_width=12, projector_output=6)
    backbone = build_backbone("smallconv")
    return backbone, build_pretext(settings, backbone)


def test_settings_and_tasks_have_the_same_names():
    assert pretext_names() == list(PRETEXTS)
    places = {name: f"{type(task).__module__}:{type(task).__name__}" for name in PRETEXTS for _, task in [build(name)]}
    assert places == PRETEXTS
    with pytest.raises(ValueError, match="expected 'simclr', 'byol', 'vicreg', 'barlow_twins' or 'simsiam'"):
        Settings(pretext="moco")


@pytest.mark.parametrize("pretext", pretext_names())
def test_the_head_is_all_that_is_trainable(pretext):
    backbone, task = build(pretext)
    heads = task.head_parameters()
    trained = {name.split(".")[0] for name, parameter in task.named_parameters() if parameter.requires_grad}
    assert trained <= {"projector", "predictor"}
    loss = task.loss(backbone, tuple(torch.randn(2, 6, 3, 8, 8)))
    assert loss.dtype == torch.float32 and loss.shape == ()
    assert all(g is not None for g in torch.autograd.grad(loss, [*backbone.parameters(), *heads], allow_unused=True))


@pytest.mark.parametrize("pretext", pretext_names())
def test_collapse_shows_in_the_spread_of_the_embeddings(pretext):
    backbone, task = build(pretext)
    images = torch.randn(32, 3, 8, 8)
    last = task.projector[6]
    healthy = measure_embeddings(task, backbone, (images,))
    assert healthy.std > 0.1 and healthy.rank > 2
    with torch.no_grad():
        line = torch.outer(torch.rand(6) + 0.5, torch.randn(12))
        last.weight.copy_(line)
    assert measure_embeddings(task, backbone, (images,)).rank < 1.4
    with torch.no_grad():
        last.weight.zero_()
    assert measure_embeddings(task, backbone, (images,)).std < 1e-3


@pytest.mark.parametrize(
    ("pretext", "far_off"), [("simclr", math.sqrt(5 / 6) / 60), ("vicreg", 1.0), ("barlow_twins", 1.0)]
)
def test_where_the_embeddings_lie_counts_only_where_the_loss_reads_it(pretext, far_off):
    _, task = build(pretext)
    cloud = torch.randn(4000, 6, generator=torch.Generator().manual_seed(0))
    assert embedding_statistics(cloud, task.compared).std == pytest.approx(1, abs=0.02)
    assert embedding_statistics(cloud + 60, task.compared).std == pytest.approx(far_off, rel=0.2)


def test_vicreg_has_a_scale_of_its_own_and_barlow_twins_has_none():
    cloud = torch.randn(400, 6)
    assert embedding_statistics(0.01 * cloud, build("vicreg")[1].compared).std == pytest.approx(0.01, rel=0.2)
    assert embedding_statistics(0.1 * cloud, build("barlow_twins")[1].compared).std == pytest.approx(1, rel=0.01)
