"""Products of a replayed curvature graph are those of the graph itself, whatever is asked of which alternation."""

import pytest
import torch
from torch import nn

from bissl_ray.bilevel import GradientGraph
from bissl_ray.bilevel.curvature.replayed_graphs import ReplayedGraphs
from bissl_ray.replay import ReplayError, Replays
from tests.replay.recorders import FailsToRecord, Reruns, WrongOnOtherBatches


class Problem:
    def __init__(self, recorder, must=False):
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)).double()
        self.params = list(self.network.parameters())
        self.lines = []
        self.graphs = ReplayedGraphs(self.build, self.params, Replays(recorder, must, say=self.lines.append))

    def build(self, batch):
        return GradientGraph(self.network(batch[0]).square().mean(), self.params)

    def products(self, alternations, each=3):
        """Losses and products, θ moving in between."""
        generator = torch.Generator().manual_seed(1)
        found = []
        for rows in alternations:
            graph = self.graphs((torch.randn(rows, 4, dtype=torch.float64, generator=generator),))
            found.append(graph.loss)
            for _ in range(each):
                vector = torch.randn(19, dtype=torch.float64, generator=generator)
                found.append(graph.product(vector, retain=True))
            with torch.no_grad():
                for parameter in self.params:
                    parameter.mul_(0.9)
        return found


SHAPES = {"same": [5] * 6, "another at the end": [5, 5, 5, 5, 4, 5]}


@pytest.mark.parametrize("each", [0, 3])
@pytest.mark.parametrize("shapes", SHAPES)
def test_they_are_bit_for_bit_those_of_the_graph(shapes, each):
    problem = Problem(Reruns())
    found, expected = (one.products(SHAPES[shapes], each) for one in (problem, Problem(None)))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    changing = ["replay, the curvature: it goes on without, as its batches change in shape"]
    assert problem.lines == ([] if shapes == "same" else changing)


def test_after_two_checked_alternations_everything_is_replayed():
    recorder = Reruns()
    Problem(recorder).products([5] * 5)
    checked, replayed = 2 * (1 + 1), 2 * (1 + 3)
    assert (recorder.recorded, recorder.replayed) == (2, checked + replayed)


@pytest.mark.parametrize("recorder", [FailsToRecord, WrongOnOtherBatches])
def test_a_broken_recording_changes_no_product(recorder):
    problem = Problem(recorder())
    found, expected = (one.products([5] * 6) for one in (problem, Problem(None)))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert len(problem.lines) == 1
    with pytest.raises(ReplayError, match="the curvature can't be replayed"):
        Problem(recorder(), must=True).products([5] * 6)
