"""Attention that can be differentiated twice.

torch's fused kernels of scaled dot-product attention have no second derivative. Its composed one has, and all
attention layers go through the same function, so the choice is made around a backbone's forward.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def twice_differentiable_attention(device: torch.device) -> Iterator[None]:
    """Inside, attention that is recorded for gradients is composed of operations with derivatives of any order.

    Without gradients, and under autocast, where curvature is never taken, torch picks its quickest kernel as ever.

    Args:
        device: of the images.
    """
    kind = device.type
    autocast = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    if autocast or not torch.is_grad_enabled():
        yield
        return
    with sdpa_kernel(SDPBackend.MATH):
        yield
