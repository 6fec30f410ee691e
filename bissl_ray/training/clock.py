"""The clock of everything that is timed on a device."""

import time

import torch


def now(device: torch.device) -> float:
    """Seconds of a clock, once the device has done what it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
