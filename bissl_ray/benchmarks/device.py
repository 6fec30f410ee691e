"""The device that a benchmark runs on: its name, and how fast it multiplies matrices."""

import time

import torch

from bissl_ray.training.clock import now
from bissl_ray.training.precision import exact_arithmetic, training_arithmetic

_SIDES = {"cuda": 8192, "cpu": 1024}
"""Of the matrices: large enough that more would not be faster."""
_SECONDS = 0.5


def device_name(device: torch.device) -> str:
    """The card's name, or how many threads of the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'' if threads == 1 else 's'} per worker"


def matmul_rate(device: torch.device, arithmetic: str) -> float:
    """Floating-point operations per second of a product of two large square matrices, the best of some.

    Args:
        device: which.
        arithmetic: as `gauges.Flop` names it: a dtype of torch, or "tf32".
    """
    dtype = torch.float32 if arithmetic == "tf32" else getattr(torch, arithmetic)
    side = _SIDES[device.type] // (2 if dtype is torch.float64 else 1)
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    product = one @ other
    best = float("inf")
    with training_arithmetic("tf32") if arithmetic == "tf32" else exact_arithmetic():
        end = time.perf_counter() + _SECONDS
        while time.perf_counter() < end or best == float("inf"):
            begin = now(device)
            torch.matmul(one, other, out=product)
            best = min(best, now(device) - begin)
    return 2 * side**3 / best
