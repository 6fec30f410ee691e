"""Ray Train around the stages: how many workers with what, and a TorchTrainer over them."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from bissl_ray.workers.message_line import MessageLine
from bissl_ray.workers.shape import GroupShape

_POLL_S: Final = 0.2
_PATIENCE_S: Final = 60.0


def torch_trainer(
    loop: Callable[[Any], None],
    config: Mapping[str, object],
    shape: GroupShape,
    *,
    name: str,
    in_process: bool,
    most_restarts: int,
) -> TorchTrainer:
    """A TorchTrainer that runs a function on a group of workers, nccl on GPUs and gloo elsewhere.

    Args:
        loop: runs on every worker.
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
    loop: Callable[[Any], None],
    config: Mapping[str, object],
    shape: GroupShape,
    *,
    name: str,
    on_message: Callable[[Any], bool],
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Run a function once on a group of workers, passing on what they put into `config["line"]`.

    Args:
        loop: runs on every worker.
        config: what it is called with, and "line", a `MessageLine`, besides.
        shape: the group.
        name: unique name of the Train run.
        on_message: called in this thread with each message; where it returns False, what still runs is given up.
        stopped: asked several times a second; from True on, the workers' messages are answered by a wish to stop,
            and have a minute for it.

    Returns:
        Whether it ran to its end; if not, workers may still run: the caller disconnects from Ray.

    Raises:
        Exception: what broke the run, or `on_message`.
    """
    line = MessageLine()
    failure: list[BaseException] = []

    def fit() -> None:
        try:
            torch_trainer(loop, {**config, "line": line}, shape, name=name, in_process=False, most_restarts=2).fit()
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=fit, name=f"train-{name}", daemon=True)
    thread.start()
    patience = None
    while thread.is_alive():
        thread.join(_POLL_S)
        if patience is None and stopped():
            line.ask_to_stop()
            patience = time.monotonic() + _PATIENCE_S
        if not all(on_message(message) for message in line.take()):
            return False
        if patience is not None and time.monotonic() > patience:
            return False
    go_on = all(on_message(message) for message in line.take())
    line.close()
    if failure:
        raise failure[0]
    return go_on
