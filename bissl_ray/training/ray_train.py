"""Ray Train around the stages: how many workers with what, and a TorchTrainer over them."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.util.queue import Empty, Queue


@dataclass(frozen=True)
class GroupShape:
    """What one group of workers takes from the cluster.

    Attributes:
        workers: worker processes that share one trial.
        cpus_per_worker: CPUs (and threads) of each.
        use_gpu: whether each worker takes one GPU.
        run_dir: folder or URI where Ray Train keeps its own state, reachable from every node.
    """

    workers: int
    cpus_per_worker: int
    use_gpu: bool
    run_dir: str

    def to_mapping(self) -> dict[str, Any]:
        """Plain mapping, for a Tune configuration."""
        return asdict(self)

    @property
    def worker_resources(self) -> dict[str, float]:
        """Ray resources of one worker."""
        gpu: dict[str, float] = {"GPU": 1} if self.use_gpu else {}
        return {"CPU": self.cpus_per_worker, **gpu}


def torch_trainer(
    loop: Callable[[dict[str, Any]], None],
    config: Mapping[str, Any],
    shape: GroupShape,
    *,
    name: str,
    in_process: bool,
    most_restarts: int,
) -> TorchTrainer:
    """A TorchTrainer that runs a function on a group of workers, nccl on GPUs and gloo elsewhere.

    Args:
        loop: runs on every worker, with the configuration.
        config: what it is called with.
        shape: the group.
        name: unique name of the Train run.
        in_process: run the one worker in this very process (Train's local mode), with no further process.
        most_restarts: how often the group is started again after a worker died.
    """
    return TorchTrainer(
        loop,
        train_loop_config=dict(config),
        scaling_config=ScalingConfig(
            num_workers=0 if in_process else shape.workers,
            use_gpu=shape.use_gpu,
            resources_per_worker=shape.worker_resources,
        ),
        run_config=RunConfig(
            name=name, storage_path=shape.run_dir, failure_config=FailureConfig(max_failures=most_restarts)
        ),
    )


def run_with_messages(
    loop: Callable[[dict[str, Any]], None],
    config: Mapping[str, Any],
    shape: GroupShape,
    *,
    name: str,
    on_message: Callable[[Any], None],
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Run a function once on a group of workers, passing on what they put into `config["queue"]`.

    Args:
        loop: runs on every worker.
        config: what it is called with, and "queue" besides.
        shape: the group.
        name: unique name of the Train run.
        on_message: called in this thread with each message.
        stopped: asked several times a second; True gives up waiting (the caller disconnects from Ray).

    Returns:
        Whether it ran to its end; False if it was stopped.

    Raises:
        Exception: what broke the run.
    """
    queue = Queue(actor_options={"num_cpus": 0})
    failure: list[BaseException] = []

    def fit() -> None:
        try:
            torch_trainer(loop, {**config, "queue": queue}, shape, name=name, in_process=False, most_restarts=2).fit()
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=fit, name=f"train-{name}", daemon=True)
    thread.start()
    while thread.is_alive() and not stopped():
        _pass_on(queue, on_message, timeout=0.2)
    if thread.is_alive():
        return False
    while _pass_on(queue, on_message, timeout=0.0):
        pass
    ray.kill(queue.actor)
    if failure:
        raise failure[0]
    return True


def _pass_on(queue: Queue, on_message: Callable[[Any], None], timeout: float) -> bool:
    try:
        on_message(queue.get(block=timeout > 0, timeout=timeout or None))
    except Empty:
        return False
    return True
