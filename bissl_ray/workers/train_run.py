"""Ray Train around the stages: how many workers with what, and a TorchTrainer over them."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError

from bissl_ray.progress import Alive, Report
from bissl_ray.workers.losses import Losses
from bissl_ray.workers.message_line import MessageLine
from bissl_ray.workers.reservations import free_orphaned
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
            name=name,
            storage_path=shape.run_dir,
            # Without a limit Train waits for room for ever, and says nothing.
            failure_config=FailureConfig(max_failures=most_restarts, controller_failure_limit=0),
        ),
    )


def run_with_messages(
    loop: Callable[[Any], None],
    config: Mapping[str, object],
    shape: Callable[[], GroupShape],
    *,
    name: str,
    on_message: Callable[[Any], bool],
    on_loss: Callable[[Losses], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Run a function on a group of workers, passing on what they put into `config["line"]`.

    Where a worker is lost, with its process or its machine, it is run again on workers that are there, until that has
    happened too often (`workers.losses`).

    Args:
        loop: runs on every worker; to go on from what it has saved.
        config: what it is called with, and "line", a `MessageLine`, and "threads" besides.
        shape: the group that there is room for; asked before each attempt.
        name: unique name of the Train run.
        on_message: called in this thread with each message; where it returns False, what still runs is given up.
        on_loss: called after each, before the attempt that follows.
        stopped: asked several times a second; from True on, the workers' messages are answered by a wish to stop,
            and have a minute for it.

    Returns:
        Whether it ran to its end; if not, workers may still run: the caller disconnects from Ray.

    Raises:
        Exception: what broke the run, or `on_message`.
    """
    line = MessageLine()
    losses, spared, patience = Losses(), False, None

    def heard(message: Any) -> bool:
        if isinstance(message, Report):
            losses.reported(*message.row.get("earlier", ()), message.row)
        return on_message(message)

    while True:
        now = shape()
        run = _Run(loop, {**config, "line": line, "threads": now.cpus_per_worker}, now, name)
        while run.is_alive():
            run.join(_POLL_S)
            if patience is None and stopped():
                line.ask_to_stop()
                patience = time.monotonic() + _PATIENCE_S
            if not all(heard(message) for message in line.take()):
                return False
            if patience is not None and time.monotonic() > patience:
                return False
        go_on = all(heard(message) for message in line.take())
        if run.failure is None or not go_on or patience is not None:
            break
        if found_no_room(run.failure):
            on_message(Alive("waits for room on the cluster for its workers"))
        elif not spared and line.left() is not None:  # they were short of memory, and none was lost
            spared = True
        else:
            losses.lost()
            free_orphaned()
            if losses.are_too_many:
                break
            on_loss(losses)
    line.close()
    if run.failure is not None:
        raise run.failure
    return go_on


def found_no_room(failure: BaseException | None) -> bool:
    """Whether a Train run ended because the cluster had no room for its workers, for a minute."""
    return isinstance(getattr(failure, "controller_failure", None), WorkerGroupStartupTimeoutError)


class _Run(threading.Thread):
    """One attempt."""

    def __init__(self, loop: Callable[[Any], None], config: Mapping[str, object], shape: GroupShape, name: str) -> None:
        super().__init__(name=f"train-{name}", daemon=True)
        self._trainer = torch_trainer(loop, config, shape, name=name, in_process=False, most_restarts=0)
        self.failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._trainer.fit()
        except BaseException as error:
            self.failure = error
