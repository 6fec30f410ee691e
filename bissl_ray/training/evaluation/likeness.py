"""How alike two backbones are: by what they make of the same images, and by their weights."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


@torch.no_grad()
def linear_cka(one: Tensor, other: Tensor) -> float:
    """Linear centred kernel alignment of two sets of features of the same images.

    ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖) in Frobenius norms, of features whose mean over the images is 0: Kornblith, Norouzi, Lee and
    Hinton 2019, "Similarity of neural network representations revisited", section 3 and equation 3. 1 where they agree
    but for rotation, reflection, shift and one factor; of unrelated ones small only where there are many more images
    than features. In double precision.

    Args:
        one: X (n, d), a row for each image.
        other: Y (n, e).

    Returns:
        In [0, 1]; NaN where all images have the same features.
    """
    x, y = (rows.double() - rows.double().mean(dim=0) for rows in (one, other))
    if len(x) < max(x.shape[1], y.shape[1]):
        # ‖YᵀX‖² is the scalar product of both Gram matrices, which are the smaller ones here.
        gram, beside = x @ x.T, y @ y.T
        return float((gram * beside).sum() / (gram.norm() * beside.norm()))
    return float((y.T @ x).square().sum() / ((x.T @ x).norm() * (y.T @ y).norm()))


def weights_of(backbone: nn.Module) -> list[Tensor]:
    """A copy of all its parameters, in the module's order, on the CPU: what it is to be held against later."""
    return [parameter.detach().to("cpu", copy=True) for parameter in backbone.parameters()]


def relative_distance(backbone: nn.Module, start: Sequence[Tensor]) -> float:
    """‖θ − θ_start‖ / ‖θ_start‖, in double precision on the CPU; NaN where θ_start is 0.

    Args:
        backbone: its parameters are θ.
        start: as `weights_of` gives them; of the same architecture.
    """
    between, length = 0.0, 0.0
    for parameter, begun in zip(backbone.parameters(), start, strict=True):
        begun = begun.double()
        between += float((parameter.detach().cpu().double() - begun).square().sum())
        length += float(begun.square().sum())
    return math.sqrt(between / length) if length else math.nan
