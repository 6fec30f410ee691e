"""One worker's view of its group: rank, size, device, and how the group agrees on things."""

from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")
Error = TypeVar("Error", bound=Exception)


@dataclass(frozen=True)
class Worker:
    """This process among the workers that run a trial together.

    Attributes:
        rank: from 0.
        world_size: how many there are.
        device: of this one.
        gpu_share: of that device, where it is a GPU.
    """

    rank: int
    world_size: int
    device: torch.device
    gpu_share: float = 1.0

    @property
    def is_chief(self) -> bool:
        """Whether this worker speaks for the group: it alone reports and writes files."""
        return self.rank == 0

    def agree(self, value: T) -> T:
        """Return the chief's value on every worker (collective).

        Args:
            value: any picklable value; only the chief's counts.
        """
        if self.world_size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]


def in_step(error: Error) -> Error:
    """Mark an error that every worker raises alike, from the same value: the group needs no restart."""
    error.in_step = True  # type: ignore[attr-defined]
    return error


def lost_a_peer(error: Exception) -> bool:
    """Whether a collective broke because another worker is gone. Gloo says so in words only."""
    return isinstance(error, dist.DistError) or (type(error) is RuntimeError and "gloo" in str(error).lower())


def alone(device: torch.device | None = None) -> Worker:
    """A group of one, in this very process: tests and tools."""
    return Worker(rank=0, world_size=1, device=device or default_device())


def default_device() -> torch.device:
    """The CUDA device that this process may use, else the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def named(device: torch.device) -> str:
    """What a device is: the last digits of a result depend on it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU {torch.backends.cpu.get_cpu_capability()}"


def cap_memory(device: torch.device, share: float) -> None:
    """Let this process have so much of a GPU's memory; what asks for more is out of memory, and the others are not."""
    if device.type == "cuda" and share < 1:
        torch.cuda.set_per_process_memory_fraction(share, device)


def from_ray_train(gpu_share: float = 1.0) -> Worker:
    """This worker of the running TorchTrainer (also in its local mode, a group of one).

    Args:
        gpu_share: of its GPU, if it has one; its memory is capped accordingly.
    """
    import ray.train
    import ray.train.torch

    context = ray.train.get_context()
    device = ray.train.torch.get_device()
    cap_memory(device, gpu_share)
    return Worker(context.get_world_rank(), context.get_world_size(), device, gpu_share)
