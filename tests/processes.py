"""Start real worker processes that talk over gloo on 127.0.0.1, and collect what they return.

from tests.processes import run_workers

def work(rank: int, world_size: int, scale: float) -> float: ...  # at module level: it is pickled

results = run_workers(work, 2, 3.0)                                 # one entry per worker, in order of rank
"""

import multiprocessing
import os
import pickle
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS_TO_FINISH = 120


def run_workers(work: Callable[..., Any], count: int, *arguments: Any) -> list[Any]:
    """Run `work(rank, count, *arguments)` in `count` processes that share one gloo process group.

    A fork server that has imported once what is slow to import (optimizers import torch._dynamo) makes each
    start take a fraction of a second.
    Fails with the workers' own tracebacks, or when they are not done within two minutes.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "torch._dynamo", "bissl_ray.bilevel"])
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            context.Process(target=_worker, args=(work, rank, count, folder, arguments)) for rank in range(count)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(SECONDS_TO_FINISH)
        unfinished = [rank for rank, process in enumerate(processes) if process.is_alive()]
        for process in processes:
            process.kill()
            process.join()
        failures = [file.read_text() for file in sorted(Path(folder).glob("failure-*"))]
        if failures or unfinished:
            raise AssertionError(f"workers not done in time: {unfinished}\n" + "\n".join(failures))
        return [pickle.loads(Path(folder, f"result-{rank}").read_bytes()) for rank in range(count)]


def _worker(work: Callable[..., Any], rank: int, count: int, folder: str, arguments: tuple[Any, ...]) -> None:
    import torch

    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    try:
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=count
        )
        result = work(rank, count, *arguments)
        Path(folder, f"result-{rank}").write_bytes(pickle.dumps(result))
    except BaseException:
        # Written down before the group is left, so that the cause is known even when a peer still waits.
        Path(folder, f"failure-{rank}").write_text(f"worker {rank}:\n{traceback.format_exc()}")
        raise
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
