import copy

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from bissl_ray.models.convolution import Convolution2d, convert_convolutions

SHAPES = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "bias": False},
    {"kernel_size": (1, 2), "groups": 2},
    {"kernel_size": 3, "padding": 1, "groups": 2},
    {"kernel_size": 2, "dilation": 2, "padding": (1, 0)},
]


def layer(arguments):
    torch.manual_seed(0)
    return Convolution2d(2, 4, **arguments).double()


@pytest.mark.slow
@pytest.mark.parametrize("arguments", SHAPES)
def test_first_and_second_derivatives_against_finite_differences(arguments):
    module = layer(arguments)
    x = torch.randn(2, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    inputs = (x, *module.parameters())

    def convolve(x, *parameters):
        return torch.func.functional_call(module, dict(zip(["weight", "bias"], parameters, strict=False)), x)

    assert gradcheck(convolve, inputs)
    assert gradgradcheck(convolve, inputs)


@pytest.mark.parametrize("arguments", SHAPES)
def test_second_derivatives_equal_torchs_whatever_is_asked_for(arguments):
    ours, torchs = layer(arguments), nn.Conv2d(2, 4, **arguments).double()
    torchs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 2, 6, 6, dtype=torch.float64)
    for x_too in (False, True):
        images = x.clone().requires_grad_(x_too)
        results = []
        for module in (ours, torchs):
            wanted = [images, *module.parameters()] if x_too else [module.weight]
            first = torch.autograd.grad(module(images).sin().sum(), wanted, create_graph=True)
            results.append(torch.autograd.grad([part.cos().sum() for part in first], wanted))
        torch.testing.assert_close(*results)


def test_conversion_keeps_parameters_and_what_it_does_not_know():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3, padding="same"), nn.ReLU())
    before = list(model.parameters())
    reference = copy.deepcopy(model)
    convert_convolutions(model)
    assert [type(child) for child in model] == [Convolution2d, nn.Conv2d, nn.ReLU]
    assert all(new is old for new, old in zip(model.parameters(), before, strict=True))
    images = torch.randn(2, 1, 7, 7)
    with torch.no_grad():
        assert torch.equal(model(images), reference(images))
    # With gradients the bias is a sum of its own, which is rounded by itself.
    first = reference[0]
    apart = nn.functional.conv2d(images, first.weight) + first.bias.view(1, -1, 1, 1)
    assert torch.equal(model[0](images), apart)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model(images), reference(images))
