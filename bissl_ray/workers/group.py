"""A worker group: n Ray Train workers that outlive trials (docs/architecture.md, "Workers").

One TorchTrainer run is started once and its workers loop over trials. With one worker, Train's local mode
runs the same loop in a thread of this process, with no further process.
"""

import logging
import threading
from typing import Any

import ray

from bissl_ray.progress import TrialEnded
from bissl_ray.training.order import Order
from bissl_ray.workers.loop import Call, worker_loop
from bissl_ray.workers.mailbox import Answer, Mailbox, Message
from bissl_ray.workers.message_line import MessageLine
from bissl_ray.workers.train_run import GroupShape, torch_trainer

_POLL_S = 1.0
_MOST_RESTARTS = 20


class WorkerGroup:
    """Runs the trials that it is handed, one after another."""

    def __init__(self, shape: GroupShape, name: str, line: MessageLine | None = None):
        """Start the workers; returns at once, they take their first trial when they are up.

        Args:
            shape: workers, CPUs and GPUs.
            name: unique name of the Train run.
            line: takes what trials say of the images that are decoded; None: standard error does.
        """
        self._shape = shape
        self._line = line
        self._mailbox_actor: Any = None
        self._mailbox: Mailbox | None = None
        if shape.workers == 1:
            self._mailbox = Mailbox()
        else:
            actor_class = ray.remote(num_cpus=0, max_concurrency=4 * shape.workers)(Mailbox)
            self._mailbox_actor = actor_class.remote()
        self._name = name
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._fit, name=f"train-{name}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the workers (or their restart) are still going."""
        return self._thread.is_alive()

    def hand_out(self, tag: str, order: Order) -> None:
        """Give the group its next trial."""
        self._call("hand_out", tag, order)

    def answer(self, tag: str, answer: Answer) -> None:
        """Let the trial go on after its last report, or stop it there."""
        self._call("answer", tag, answer)

    def next_message(self, tag: str) -> Message:
        """Wait for the trial's next message. A group that died says so as the trial's failure."""
        while True:
            message: Message | None = self._call("next_message", tag, _POLL_S)
            if message is not None:
                return message
            if not self.alive:
                reason = f"the worker group ended: {self._error}" if self._error else "the worker group ended"
                return TrialEnded("failed", {"attempts": 0}, " ".join(reason.split())[:400])

    def close(self, timeout: float = 3.0) -> None:
        """Tell the workers to end and wait for them a moment (seconds)."""
        self._call("close")
        self._thread.join(timeout)
        if self._mailbox_actor is not None:
            ray.kill(self._mailbox_actor)

    @property
    def _call(self) -> Call:
        return _InProcess(self._mailbox) if self._mailbox is not None else _ThroughActor(self._mailbox_actor)

    def _fit(self) -> None:
        shape = self._shape
        try:
            torch_trainer(
                worker_loop,
                {"call": self._call, "threads": shape.cpus_per_worker, "line": self._line},
                shape,
                name=self._name,
                in_process=shape.workers == 1,
                most_restarts=_MOST_RESTARTS,
            ).fit()
        except BaseException as error:
            logging.getLogger(__name__).warning("worker group %s ended: %s", self._name, error)
            self._error = error


class _InProcess:
    """Calls a mailbox of this process."""

    def __init__(self, mailbox: Mailbox):
        self._mailbox = mailbox

    def __call__(self, method: str, *arguments: Any) -> Any:
        return getattr(self._mailbox, method)(*arguments)


class _ThroughActor:
    """Calls a mailbox that lives in an actor."""

    def __init__(self, actor: Any):
        self._actor = actor

    def __call__(self, method: str, *arguments: Any) -> Any:
        return ray.get(getattr(self._actor, method).remote(*arguments))
