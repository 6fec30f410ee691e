"""Second derivatives of single layers on a CUDA device are those of the CPU in float64."""

import pytest
import torch

from bissl_ray.models.convolution import Convolution2d
from bissl_ray.parallel import PerWorkerBatchNorm2d, SynchronisedBatchNorm2d
from bissl_ray.training.precision import exact_arithmetic
from tests.gpu import DEVICE, needs_gpu

pytestmark = needs_gpu


def product(layer, x, vectors):
    """The layer's output, its gradients, and the product of its Hessian with some vectors, by torch's names."""
    wanted = [x, *layer.parameters()]
    y = layer(x)
    gradients = torch.autograd.grad(y.sin().sum(), wanted, create_graph=True)
    products = torch.autograd.grad(gradients, wanted, vectors)
    return [tensor.detach().cpu().double() for tensor in (y, *gradients, *products)]


LAYERS = {
    "batch norm": lambda: PerWorkerBatchNorm2d(6),
    "synchronised batch norm": lambda: SynchronisedBatchNorm2d(6),
    "convolution": lambda: Convolution2d(6, 8, 3, stride=2, padding=1, bias=False),
    "grouped convolution": lambda: Convolution2d(6, 6, 3, padding=1, groups=6, bias=False),
}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("name", LAYERS)
def test_second_derivatives(name, dtype, tolerance, layout) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name]().double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter))
    x = torch.randn(5, 6, 9, 7, dtype=torch.float64, requires_grad=True)
    vectors = [torch.randn_like(tensor) for tensor in (x, *layer.parameters())]
    expected = product(layer, x, vectors)
    there = x.detach().to(DEVICE, dtype).to(memory_format=layout).requires_grad_()
    moved = layer.to(DEVICE, dtype).to(memory_format=layout)
    with exact_arithmetic():  # as curvature is: cuDNN would multiply float32 in TF32
        found = product(moved, there, [vector.to(DEVICE, dtype) for vector in vectors])
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= tolerance * (1 + other.norm())
