"""The gradient of θ_D → L_D(θ*(θ_D)) + γ L_D(θ_D) where L_D is a detector's, its choice of anchors and regions fixed.

The lower level is a contrastive loss, solved to the end at each point; only its second derivatives are taken.
"""

import copy

import pytest
import torch
from torch.func import functional_call
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from bissl_ray.bilevel import LowerHessian, hypergradient
from bissl_ray.config.settings import SolverSettings
from bissl_ray.pretext import nt_xent
from tests.bilevel.minimum import minimum_of
from tests.downstream.detection.given import Tiny, scenes, task_for

pytestmark = pytest.mark.slow

GAMMA, PROXIMITY = 0.4, 10.0


@pytest.fixture(scope="module")
def problem():
    torch.manual_seed(2)
    backbone = Tiny().double()
    task, batch = task_for(backbone), scenes()
    views = torch.randn(12, 3, 16, 16, dtype=torch.float64)
    projector = torch.randn(6, 3, dtype=torch.float64)
    names = [name for name, _ in backbone.named_parameters()]
    shapes = [parameter.shape for parameter in backbone.parameters()]

    def named(theta):
        sizes = [shape.numel() for shape in shapes]
        return {n: part.view(shape) for n, part, shape in zip(names, theta.split(sizes), shapes, strict=True)}

    def pretext(theta):
        # Away from 0, which has no direction.
        return nt_xent(functional_call(backbone, named(theta), (views,)) @ projector + 1, 0.5)

    def at(theta):
        own = copy.deepcopy(backbone)
        vector_to_parameters(theta.detach(), own.parameters())
        return own

    return backbone, task, batch, pretext, at


def lower_solution(pretext, anchor):
    """argmin over θ of L_P + λ/2 ‖θ - θ_D‖²: L-BFGS to get near, then Newton."""

    def objective(theta):
        return pretext(theta) + PROXIMITY / 2 * (theta - anchor).square().sum()

    return minimum_of(objective, anchor, near=1e-6, exact=1e-12)


def test_it_equals_central_differences(problem):
    backbone, task, batch, pretext, at = problem
    anchor = parameters_to_vector(backbone.parameters()).detach()
    theta = lower_solution(pretext, anchor)
    lower, upper = at(theta), at(anchor)
    below, above = task.choice(lower, batch), task.choice(upper, batch)

    def downstream(point, choice):
        own = at(point)
        loss = task.loss_on(own, batch, choice)
        return loss.detach(), parameters_to_vector(torch.autograd.grad(loss, list(own.parameters())))

    _, v = downstream(theta, below)
    _, direct = downstream(anchor, above)
    point = theta.clone().requires_grad_()
    H = LowerHessian(pretext(point), [point])
    settings = SolverSettings(damping=0.0, cg_iterations=400, cg_tolerance=0.0)
    total = hypergradient(H, [v], [GAMMA * direct], settings, PROXIMITY).total[0]

    def objective(at_anchor):
        implicit, _ = downstream(lower_solution(pretext, at_anchor), below)
        return implicit + GAMMA * downstream(at_anchor, above)[0]

    torch.manual_seed(4)
    directions = torch.randn(3, len(anchor), dtype=torch.float64)

    def differences(step):
        return torch.stack(
            [(objective(anchor + step * d) - objective(anchor - step * d)) / (2 * step) for d in directions]
        )

    coarse, fine = differences(2e-4), differences(1e-4)
    slopes = directions @ total
    assert float(((4 * fine - coarse) / 3 - slopes).norm() / slopes.norm()) < 1e-6
    assert float((directions @ (v + GAMMA * direct) - slopes).norm() / slopes.norm()) > 0.05  # first order is another
