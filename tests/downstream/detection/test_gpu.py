"""On a CUDA device a detector's loss, its gradients and what it finds are those of the CPU."""

import copy

import torch

from bissl_ray.data.nested import each_tensor
from tests.downstream.detection.given import backbone_named, scenes, task_for
from tests.gpu import DEVICE, needs_gpu

pytestmark = needs_gpu


def derivatives(backbone, task, batch):
    loss = task.loss(backbone, batch)
    gradients = torch.autograd.grad(loss, [*backbone.parameters(), *task.parameters()])
    return [loss.detach().cpu(), *(gradient.cpu() for gradient in gradients)]


def test_it_equals_the_cpu():
    backbone, batch = backbone_named("smallconv"), scenes()
    task = task_for(backbone)
    there = [copy.deepcopy(module).to(DEVICE) for module in (backbone, task)]
    expected = derivatives(backbone, task, batch)
    moved = each_tensor(batch, lambda tensor: tensor.to(DEVICE))
    torch.testing.assert_close(derivatives(*there, moved), expected, rtol=1e-8, atol=1e-10)
    found = there[1].eval().find(there[0].eval(), moved)
    at_home = task.eval().find(backbone.eval(), batch)
    for one, other in zip(found, at_home, strict=True):
        torch.testing.assert_close(one.scores.cpu(), other.scores, rtol=1e-6, atol=1e-8)
