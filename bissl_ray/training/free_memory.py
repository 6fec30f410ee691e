"""How much memory a device has left for this process."""

import resource
from contextlib import suppress
from pathlib import Path

import torch

from bissl_ray.data.machine import usable_memory


def free_memory(device: torch.device) -> int:
    """Bytes that this process could still have on a device."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + cached
    free = [usable_memory()]
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        free += [] if limit == resource.RLIM_INFINITY else [max(0, limit - pages * resource.getpagesize())]
    return min(free)
