"""Only the steps of a backbone's own level move its running statistics: to the bit."""

import pytest
import torch

from bissl_ray.bilevel import GaussNewton, LowerHessian, RecomputedHessian
from bissl_ray.pretext import pretext_names
from tests.bilevel.pretext_problem import NUMBERS, WorkerProblem


def kept(problem, views):
    return LowerHessian(problem.lower_loss(views), list(problem.lower.parameters()))


def recomputed(problem, views):
    losses = [lambda: problem.lower_loss(views[:, :24]), lambda: problem.lower_loss(views[:, 24:])]
    return RecomputedHessian(losses, list(problem.lower.parameters()))


def gauss_newton(problem, views):
    outputs, targets = problem.task.outputs(problem.lower, tuple(views))
    return GaussNewton(
        outputs, lambda judged: problem.task.criterion(judged, targets), list(problem.lower.parameters())
    )


class Watched(WorkerProblem):
    """Looks at the statistics when a lower batch is drawn and when an upper loss is asked for."""

    def __init__(self, pretext, curvature):
        super().__init__(pretext, "synchronised")
        self.make_curvature = curvature
        self.views_drawn = self.watch_views(self.views)
        self.below = []  # statistics of backbone, heads and target, at each lower batch
        self.above = []  # which backbone the upper loss is asked for, and θ_D's statistics then

    def statistics(self, *modules):
        return [buffer.clone() for module in modules for buffer in module.buffers()]

    def watch_views(self, views):
        for batch in views:
            self.below.append(self.statistics(self.lower, self.task))
            yield batch

    def curvature(self, views):
        return self.make_curvature(self, views)

    def upper_loss(self, backbone, batch):
        self.above.append((backbone, self.statistics(self.upper)))
        return super().upper_loss(backbone, batch)

    def alternate(self):
        return self.trainer.alternation(self.views_drawn, self.labelled)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("curvature", [kept, recomputed, gauss_newton])
@pytest.mark.parametrize("pretext", pretext_names())
def test_only_steps_of_its_own_level_move_statistics(pretext, curvature):
    problem = Watched(pretext, curvature)
    report = problem.alternate()
    assert report.hvps > 0
    first, at_curvature = problem.below
    # Backbone, both heads and target: moved by the step, then still through graph, products and upper losses.
    assert not any(torch.equal(a, b) for a, b in zip(first, at_curvature, strict=True))
    assert same(at_curvature, problem.statistics(problem.lower, problem.task))
    # θ_D: still through the loss at θ*, moved by its own.
    ends = [*problem.above[1:], (None, problem.statistics(problem.upper))]
    for (backbone, before), (_, after) in zip(problem.above, ends, strict=True):
        assert same(before, after) == (backbone is problem.lower)
    assert [backbone for backbone, _ in problem.above].count(problem.lower) == NUMBERS["upper_steps"]
    assert int(problem.upper.layers[1].num_batches_tracked) == NUMBERS["upper_steps"]
    assert all(layer.track_running_stats for layer in problem.lower.modules() if hasattr(layer, "running_mean"))
