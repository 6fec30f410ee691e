"""Hessian-vector products of every family, against finite differences of the gradient in float64."""

import pytest
import torch
from torch import nn

from bissl_ray.config.settings import Settings
from bissl_ray.models import build_backbone
from bissl_ray.parallel import frozen_statistics
from bissl_ray.training.curvature import estimate_curvature_memory

pytestmark = pytest.mark.slow
FAMILIES = [
    ("resnet18", 64),
    ("resnext50_32x4d", 64),
    ("vit_ti_16", 32),
    ("convnext_tiny", 32),
    ("timm/vit_tiny_patch16_224", 32),
    ("timm/convnext_atto", 32),
    ("timm/efficientnet_b0", 64),
]
STEP = 1e-5


def smooth(network):
    """GELU in the place of ReLU, at whose kinks finite differences jump."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.GELU())


@pytest.mark.parametrize(("name", "size"), FAMILIES)
def test_products_by_double_backward_are_the_change_of_the_gradient(name, size):
    torch.manual_seed(0)
    backbone = build_backbone(name, image_size=size).double().train()
    images, probe = torch.randn(4, 3, size, size).double(), torch.randn(4, backbone.feature_dim).double()
    smooth(backbone)
    parameters = list(backbone.parameters())
    vector = [torch.randn_like(parameter) for parameter in parameters]
    length = torch.cat([part.flatten() for part in vector]).norm()
    vector = [part / length for part in vector]
    with frozen_statistics(backbone):

        def gradient(create_graph=False):
            loss = (backbone(images).tanh() * probe).sum()
            return torch.autograd.grad(loss, parameters, create_graph=create_graph)

        product = torch.autograd.grad(gradient(True), parameters, vector)
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                for parameter, part in zip(parameters, vector, strict=True):
                    parameter.add_(part, alpha=sign * STEP)
            sides.append(gradient())
            with torch.no_grad():
                for parameter, part in zip(parameters, vector, strict=True):
                    parameter.sub_(part, alpha=sign * STEP)
    change = [(ahead - behind) / (2 * STEP) for ahead, behind in zip(*sides, strict=True)]
    error = torch.cat([(a - b).flatten() for a, b in zip(product, change, strict=True)]).norm()
    assert error < 1e-5 * torch.cat([part.flatten() for part in change]).norm()


@pytest.mark.parametrize("name", ["vit_ti_16", "convnext_tiny"])
def test_the_memory_of_the_curvature_can_be_estimated(name):
    settings = Settings(backbone=name, image_size=32, lower_batch=4)
    memory = estimate_curvature_memory(settings)
    assert memory.peak > memory.held > 0
