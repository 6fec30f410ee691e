"""The kernel of a blur."""

import math

import torch
from torch import Tensor


def blur_taps(width: int, sigma: float) -> Tensor:
    """exp(−x² / 2σ²) at whole pixels x around 0, of sum 1, in torchvision's arithmetic: float32 (width)."""
    reach = (width - 1) / (2.0 * math.sqrt(2.0))
    x = torch.linspace(-reach, reach, width, dtype=torch.float32)
    return torch.softmax(x.div(sigma).pow(2).neg(), dim=0)
