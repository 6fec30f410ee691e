"""The Gauss-Newton product of a pretext loss: what it is on one process, and the same on several."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bissl_ray.bilevel import GaussNewton, LowerHessian
from bissl_ray.config.settings import Settings
from bissl_ray.models import build_backbone
from bissl_ray.parallel import frozen_statistics, rank, world_size
from bissl_ray.pretext import build_pretext, pretext_names
from tests.processes import run_workers

pytestmark = pytest.mark.slow

IMAGES = 8


class Problem:
    """A pretext task with batch norm in float64, and this worker's share of one global batch."""

    def __init__(self, pretext):
        torch.manual_seed(0)
        settings = Settings(
            backbone="smallconv", pretext=pretext, projector_width=12, projector_output=6, temperature=0.3
        )
        self.backbone = build_backbone("smallconv").double()
        self.task = build_pretext(settings, self.backbone)
        with torch.no_grad():  # away from BYOL's start, where prediction and target share their projector
            for parameter in self.task.head_parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        self.parameters = list(self.backbone.parameters())
        self.direction = torch.cat([torch.randn_like(parameter).flatten() for parameter in self.parameters])
        everyone = torch.randn(2, IMAGES, 3, 8, 8, dtype=torch.float64)
        self.views = tuple(everyone.chunk(world_size(), dim=1)[rank()])

    def outputs(self):
        with frozen_statistics(self.backbone, self.task):
            return self.task.outputs(self.backbone, self.views)

    def product(self):
        outputs, targets = self.outputs()
        operator = GaussNewton(outputs, lambda judged: self.task.criterion(judged, targets), self.parameters)
        return operator.flat_matvec(self.direction)

    def moved_outputs(self, distance):
        """Outputs of parameters that are moved along the direction, by finite distance."""
        before = torch.nn.utils.parameters_to_vector(self.parameters).detach()
        torch.nn.utils.vector_to_parameters(before + distance * self.direction, self.parameters)
        outputs = self.outputs()[0].detach()
        torch.nn.utils.vector_to_parameters(before, self.parameters)
        return outputs


def products(rank, count):
    return {pretext: Problem(pretext).product() for pretext in pretext_names()}


@pytest.fixture(scope="module")
def alone():
    return products(0, 1)


def relative_error(found, expected):
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("count", [2, 4])
def test_workers_agree_with_one_process_on_the_same_global_batch(alone, count):
    for worker in run_workers(products, count):
        for pretext, expected in alone.items():
            assert relative_error(worker[pretext], expected) < 1e-10


@pytest.mark.parametrize("pretext", pretext_names())
def test_product_is_that_of_the_jacobian_by_finite_differences(alone, pretext):
    problem, step = Problem(pretext), 1e-7  # small: no ReLU may turn on its way
    moved = (problem.moved_outputs(step) - problem.moved_outputs(-step)) / (2 * step)
    outputs, targets = problem.outputs()
    judged = outputs.detach()
    _, bent = torch.autograd.functional.hvp(lambda z: problem.task.criterion(z, targets), judged, moved)
    expected = torch.cat([part.flatten() for part in torch.autograd.grad(outputs, problem.parameters, bent)])
    assert relative_error(alone[pretext], expected) < 1e-7
    assert float(problem.direction @ alone[pretext]) > 0


def test_a_product_takes_four_convolutions_a_layer_where_a_hessian_product_takes_six():
    problem = Problem("simclr")
    views = [view.repeat(16, 1, 1, 1) for view in problem.views]
    outputs, partners = problem.task.outputs(problem.backbone, views)
    gauss_newton = GaussNewton(outputs, lambda judged: problem.task.criterion(judged, partners), problem.parameters)
    hessian = LowerHessian(problem.task.loss(problem.backbone, views), problem.parameters)
    flops = []
    for operator in (gauss_newton, hessian):
        with FlopCounterMode(display=False) as counter:
            operator.flat_matvec(problem.direction)
        convolutions = counter.get_flop_counts()["Global"]
        flops.append(sum(n for kind, n in convolutions.items() if "convolution" in str(kind)))
    # The first layer's images need no gradient: it saves more of a Hessian's work, in proportion, than of the other's.
    assert flops[0] / flops[1] == pytest.approx(4 / 6, rel=0.03)


@pytest.mark.parametrize("pretext", pretext_names())
def test_criterion_is_convex_in_the_outputs(pretext):
    outputs, targets = Problem(pretext).outputs()
    rows = torch.randn_like(outputs)
    task = Problem(pretext).task

    def along(distance):
        return float(task.criterion(outputs.detach() + distance * rows, targets))

    assert along(0.5) + along(-0.5) - 2 * along(0.0) > 1e-3
