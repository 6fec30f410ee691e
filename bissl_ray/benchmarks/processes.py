"""The same function in several worker processes of one machine, without Ray."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from bissl_ray.errors import BadInputError
from bissl_ray.training.worker import Worker, alone

T = TypeVar("T")


def on_workers(work: Callable[..., T], workers: int, *arguments: Any) -> T:
    """Run `work(worker, *arguments)` in step on some workers, and return what the first one returns.

    Args:
        work: at the top level of a module: it is pickled.
        workers: processes; with one, it runs in this process.
        arguments: pickled too.

    Raises:
        BadInputError: fewer GPUs than workers, where there are any.
    """
    gpus = torch.cuda.device_count()
    if 0 < gpus < workers:
        raise BadInputError(f"found {gpus} GPUs for {workers} workers: expected one each; give fewer workers")
    if workers == 1:
        return work(alone(), *arguments)
    with tempfile.TemporaryDirectory() as folder:
        spawn(_worker, (workers, folder, work, arguments), nprocs=workers)  # type: ignore[no-untyped-call]
        result: T = torch.load(Path(folder, "result"), weights_only=False)
        return result


def _worker(rank: int, workers: int, folder: str, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda", rank) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // workers))
        # The workers are all here: nothing of theirs is to be seen from outside.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group(
        "nccl" if on_gpu else "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=workers
    )
    try:
        result = work(Worker(rank, workers, device), *arguments)
        if rank == 0:
            torch.save(result, Path(folder, "result"))
    finally:
        dist.destroy_process_group()
