"""Where a stage runs: in this process, on workers of this machine, or on a cluster."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bissl_ray.stages.request import StageRequest
from bissl_ray.training.files import remove_folder
from bissl_ray.training.order import Order, stage_folder
from bissl_ray.training.worker import default_device
from bissl_ray.workers import environment
from bissl_ray.workers.interrupt import Interrupt, interruptible
from bissl_ray.workers.launch import Follower, RunEnd, run_here, run_on_workers

Runner = Callable[[Order, Follower, Callable[[], bool]], RunEnd]
"""Runs an order as `run_here` does."""


@dataclass(frozen=True)
class Place:
    """Where a stage runs.

    Attributes:
        run: runs an order there.
        words: for a line.
    """

    run: Runner
    words: str


@contextmanager
def somewhere(request: StageRequest, storage: str, address: str | None) -> Iterator[tuple[Place, Interrupt]]:
    """Where a stage runs, for the duration of a `with` block in which Ctrl-C is a wish to stop.

    Args:
        request: of the stage.
        storage: absolute.
        address: of a cluster to join; None: one worker is this process, for several a cluster is started here.

    Raises:
        BadInputError: the cluster can't be joined, or is too small.
    """
    if address is None and request.workers == 1:
        with interruptible() as interrupt:
            device = "on a GPU" if default_device().type == "cuda" else "on the CPU"
            yield Place(run_here, f"{device}, in this process"), interrupt
        return
    environment.prepare(address)
    from bissl_ray.workers.cluster import connected

    ray_folder = f"{stage_folder(request.name)}/ray"
    try:
        # Ray installs a SIGTERM handler of its own when it connects: ours must come after it.
        with connected(address, request.workers) as cluster, interruptible() as interrupt:
            shape = cluster.shape(request.workers, f"{storage}/{ray_folder}", "--workers")

            def run(order: Order, follower: Follower, stop_asked: Callable[[], bool]) -> RunEnd:
                return run_on_workers(order, shape, follower, stop_asked)

            workers = "1 worker" if request.workers == 1 else f"{request.workers} workers"
            words = f"on {workers} of {cluster.where}, on {'GPUs' if shape.use_gpu else 'CPUs'}"
            yield Place(run, words), interrupt
    finally:
        # Ray's own state of the run, which going on never reads.
        remove_folder(storage, ray_folder)
