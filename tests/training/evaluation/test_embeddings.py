"""The spread of embeddings, against closed forms, over workers, and without a trace on the modules."""

import math

import pytest
import torch

from bissl_ray.pretext import pretext_names
from bissl_ray.training.evaluation.embeddings import embedding_statistics, measure_embeddings
from bissl_ray.training.models import Models
from tests.processes import run_workers
from tests.training.small_trial import settings


def on_line_and_plane(angle):
    """Unit vectors of two directions at this angle, equally many of each, with lengths that must not matter."""
    one, other = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([math.cos(angle), math.sin(angle), 0.0])
    return torch.stack([3 * one, 0.1 * one, other, 7 * other])


@pytest.mark.parametrize(
    ("embeddings", "std", "rank"),
    [
        (5 * torch.eye(16), math.sqrt(1 - 1 / 16), 16),  # each dimension: variance 1/16 - 1/16²
        (torch.eye(4).repeat(3, 1), math.sqrt(3 / 4), 4),
        (torch.ones(6, 3), 0, 1),
        (torch.zeros(6, 3), 0, 1),
        (torch.tensor([[1.0, 2.0], [-2.0, -4.0]]), (1 / math.sqrt(5) + 2 / math.sqrt(5)) / math.sqrt(2), 1),
        (on_line_and_plane(math.pi / 2), math.sqrt(3) * (0.5 + 0.5) / 3, 2),
        # Singular values √(1 ± cos 60°) · √2: shares 0.634 and 0.366.
        (on_line_and_plane(math.pi / 3), math.sqrt(3) * (0.25 + math.sqrt(3) / 4) / 3, math.exp(0.6568)),
    ],
)
def test_closed_forms(embeddings, std, rank):
    found = embedding_statistics(embeddings)
    assert found.std == pytest.approx(std, abs=1e-7)
    assert found.rank == pytest.approx(rank, rel=1e-4)


def test_a_gaussian_cloud_is_as_spread_as_can_be():
    cloud = torch.randn(4000, 32, generator=torch.Generator().manual_seed(0))
    found = embedding_statistics(cloud)
    assert found.std == pytest.approx(1, abs=0.01)
    assert 31 < found.rank <= 32


def test_a_number_that_is_none_is_refused():
    with pytest.raises(FloatingPointError, match="deviate by nan") as caught:
        embedding_statistics(torch.tensor([[1.0, 0.0], [math.nan, 1.0]]))
    assert caught.value.in_step


def measured(rank, workers, changes):
    """Statistics of this worker's share of a batch, and whether the modules were left as they were."""
    torch.manual_seed(2)
    models = Models.build(settings(**changes), torch.device("cpu"))
    for module in (models.lower, models.pretext):
        module.train().double()
    states = [{name: t.clone() for name, t in m.state_dict().items()} for m in (models.lower, models.pretext)]
    images = torch.rand(12, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    found = measure_embeddings(models.pretext, models.lower, (images.chunk(workers)[rank],))
    after = [models.lower.state_dict(), models.pretext.state_dict()]
    same = all(torch.equal(new[name], t) for old, new in zip(states, after, strict=True) for name, t in old.items())
    return found, same


@pytest.fixture(scope="module")
def of_two():
    """What each of two workers found, by pretext task."""
    return run_workers(measured_of_all, 2)


def measured_of_all(rank, workers):
    return {pretext: measured(rank, workers, {"pretext": pretext}) for pretext in pretext_names()}


@pytest.mark.slow
@pytest.mark.parametrize("pretext", pretext_names())
def test_two_workers_measure_what_one_does(of_two, pretext):
    alone, untouched = measured(0, 1, {"pretext": pretext})
    assert untouched and 0.1 < alone.std < 1 and 1.5 < alone.rank < 8
    for found, unmoved in (worker[pretext] for worker in of_two):
        assert unmoved
        assert (found.std, found.rank) == pytest.approx((alone.std, alone.rank), rel=1e-9)
