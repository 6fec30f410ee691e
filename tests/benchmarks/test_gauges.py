"""What the benchmarks read of a piece of work."""

import time

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bissl_ray.benchmarks.device import matmul_rate
from bissl_ray.benchmarks.gauges import Clock, Flop, Peak, covered, read
from bissl_ray.benchmarks.launches import launches_of
from bissl_ray.models import build_backbone
from bissl_ray.models.convolution import Convolution2d

CPU = torch.device("cpu")


def product_of_a_convolution() -> None:
    """A convolution, its gradients, and a product of its Hessian."""
    layer = Convolution2d(3, 8, 3, padding=1, bias=False)
    x = torch.randn(2, 3, 6, 6, requires_grad=True)
    wanted = [x, layer.weight]
    gradients = torch.autograd.grad(layer(x).square().sum(), wanted, create_graph=True)
    torch.autograd.grad(gradients, wanted, [torch.ones_like(tensor) for tensor in wanted])


def test_flop_of_a_convolution_and_both_its_derivatives() -> None:
    """The forward, two gradients, four terms of the second derivative, and two by what the loss makes of the output."""
    once = 2 * (2 * 8 * 6 * 6) * (3 * 3 * 3)
    assert read(lambda _: product_of_a_convolution(), Flop(CPU)) == [{"float32": (1 + 2 + 4 + 2) * once}]


def test_what_touches_values_is_counted() -> None:
    x = torch.ones(4, 3)
    assert launches_of(lambda: (x.view(3, 4).t() + torch.empty_like(x)).sum(), CPU) == 2


def test_flop_of_a_network_are_torchs() -> None:
    backbone, images = build_backbone("resnet18"), torch.randn(2, 3, 32, 32)

    def step() -> None:
        backbone(images).sum().backward()

    with FlopCounterMode(display=False) as torchs:
        step()
    assert read(lambda _: step(), Flop(CPU)) == [{"float32": torchs.get_total_flops()}]


def test_flop_are_told_apart_by_their_arithmetic() -> None:
    def round_(next_part) -> None:
        one = torch.ones(4, 5)
        with torch.autocast("cpu", torch.bfloat16):
            one @ one.T
        next_part()
        one.double() @ one.T.double()

    assert read(round_, Flop(CPU)) == [{"bfloat16": 2 * 4 * 4 * 5}, {"float64": 2 * 4 * 4 * 5}]


def test_parts_are_read_by_themselves() -> None:
    def round_(next_part) -> None:
        torch.ones(1000)
        time.sleep(0.02)
        next_part()
        torch.ones(10)

    assert read(round_, Peak(CPU)) == [4000, 40]
    first, second = read(round_, Clock(CPU))
    assert first.wall >= 0.02 > second.wall and first.processors < 0.02


@pytest.mark.parametrize(
    ("spans", "length"), [([], 0), ([(0, 2), (5, 6)], 3), ([(1, 4), (0, 2), (2, 3)], 4), ([(0, 9), (3, 4)], 9)]
)
def test_kernels_at_the_same_time_count_once(spans, length) -> None:
    assert covered(spans) == length


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16", "float64"])
def test_a_rate_is_one_of_a_machine(arithmetic) -> None:
    assert 1e8 < matmul_rate(CPU, arithmetic) < 1e14
