"""In which arithmetic a trial trains and scores; curvature is always taken in IEEE float32.

Parameters, gradients and optimizers are float32 throughout. What differs is how CUDA multiplies float32 matrices
(a mode of the whole process, so that it also holds in backward) and whether forwards cast to bfloat16 (autocast,
around forwards only: backward follows the casts that were made).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

import torch

T = TypeVar("T")
Precision = Literal["float32", "tf32", "bfloat16"]


@contextmanager
def training_arithmetic(precision: Precision) -> Iterator[None]:
    """Let CUDA use TF32 in matrix products and convolutions, or not; nothing changes on the CPU.

    With "bfloat16", what autocast leaves in float32 (losses) is worth its full precision and costs little.
    """
    with _float32_products("tf32" if precision == "tf32" else "ieee"):
        yield


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Around a forward: cast to bfloat16 what can bear it, where that is the precision.

    One context per forward: it keeps its casts of the parameters until it ends, and they are stale after a step.

    Args:
        precision: the trial's.
        device: where the forward runs.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def drawn_outside_autocast(items: Iterable[T]) -> Iterator[T]:
    """The same items, drawn outside of the autocast around: on the CPU it would reach the images' transforms too."""
    source = iter(items)
    while True:
        with torch.autocast("cpu", enabled=False):
            try:
                item = next(source)
            except StopIteration:
                return
        yield item


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """IEEE float32 on every device, whatever the arithmetic around it: no autocast, no TF32.

    A gradient graph is to be built *and* used inside: its products multiply when they are asked for.
    """
    with _float32_products("ieee"), torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield


@contextmanager
def _float32_products(mode: Literal["ieee", "tf32"]) -> Iterator[None]:
    # The older allow_tf32 flags must not be mixed with these, not even read (pytorch notes on CUDA semantics).
    matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = matmul.fp32_precision, convolution.fp32_precision
    try:
        matmul.fp32_precision = convolution.fp32_precision = mode
        yield
    finally:
        matmul.fp32_precision, convolution.fp32_precision = before
