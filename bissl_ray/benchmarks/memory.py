"""The most bytes of tensors that are alive at once while something runs."""

import gc
from collections.abc import Callable

import torch

from bissl_ray.bilevel.curvature.memory import PeakBytes


def peak_bytes(device: torch.device, run: Callable[[], object]) -> int:
    """Run something and measure, beside what is there before: what CUDA allocates, on the CPU as `PeakBytes` counts."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return int(torch.cuda.max_memory_allocated(device)) - before
    with PeakBytes() as peak:
        run()
    return peak.bytes
