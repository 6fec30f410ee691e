"""A worker group, n Ray Train workers that outlive trials, and the Tune trainable that feeds it trial after trial.

One TorchTrainer run is started once and its workers loop over trials. With one worker, Train's local mode
runs the same loop in a thread of this process, with no further process (docs/architecture.md, "Workers").
"""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final, TypedDict

import ray
from ray import tune

from bissl_ray.progress import Alive, Report
from bissl_ray.store.schema import Row
from bissl_ray.training.order import Order
from bissl_ray.workers.mailbox import Answer, Call, Mailbox, Message, RunOrder, call_actor, call_here
from bissl_ray.workers.message_line import MessageLine
from bissl_ray.workers.nodes import on_this_node
from bissl_ray.workers.shape import GroupShape
from bissl_ray.world import world

OVER: Final = "over"
"""Key of a trial's last result: "complete", "paused", "pruned" or "failed". One that ends without it was stopped."""
ALIVE: Final = "alive"
"""Key of a result that is no report but a sign of life, with what the trial waits for, or None."""

_POLL_S: Final = 1.0
_END_S: Final = 3.0
_MOST_RESTARTS: Final = 20


class GroupLostError(RuntimeError):
    """A group's workers are gone for good, or never came: no fault of its trial."""


class NoRoomError(GroupLostError):
    """The cluster has had no room for a group's workers, for a minute."""


class TrialConfig(TypedDict):
    """What Tune hands to a `TrialRunner`.

    Attributes:
        order: an `Order`, as JSON.
        shape: the fields of its worker group's `GroupShape`.
        line: name of the driver's `MessageLine`; None: there is none.
    """

    order: str
    shape: Mapping[str, Any]
    line: str | None


class WorkerGroup:
    """Runs the trials that it is handed, one after another."""

    def __init__(
        self, shape: GroupShape, name: str, line: MessageLine | None = None, run_order: RunOrder | None = None
    ):
        """Start the workers; returns at once, they take their first trial when they are up.

        Args:
            shape: workers, CPUs and GPUs.
            name: unique name of the Train run.
            line: takes what trials say of the images that are decoded; None: standard error does.
            run_order: what a trial is; None: the pipeline's stages.
        """
        self._shape = shape
        self._line = line
        self._run_order = run_order
        self._actor: Any = None
        self._call: Call = partial(call_here, Mailbox())
        if shape.workers > 1:
            self._actor = ray.remote(**on_this_node(), max_concurrency=4 * shape.workers)(Mailbox).remote()
            self._call = partial(call_actor, self._actor)
        self._name = name
        self._error: BaseException | None = None
        self._no_room = False
        self._thread = world().start(self._fit, f"train-{name}")

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
        """Wait for the trial's next message (raises GroupLostError; NoRoomError where its workers never came)."""
        while True:
            message: Message | None = self._call("next_message", tag, _POLL_S)
            if message is not None:
                return message
            if not self.alive:
                if self._no_room:
                    raise NoRoomError("the cluster has no room for its workers")
                reason = f"its worker group ended: {self._error}" if self._error else "its worker group ended"
                raise GroupLostError(" ".join(reason.split())[:400])

    def close(self) -> None:
        """Tell the workers to end, and wait for them a moment."""
        self._call("close")
        self._thread.join(_END_S)
        if self._actor is not None:
            ray.kill(self._actor)

    def _fit(self) -> None:
        shape = self._shape
        try:
            # torch takes seconds to import. Until an actor is up, Tune gives its trial to any other that becomes free
            # and throws the new one away: where trials are short, one group would do all the work.
            from bissl_ray.workers.loop import worker_loop
            from bissl_ray.workers.train_run import found_no_room, torch_trainer

            torch_trainer(
                worker_loop,
                {
                    "call": self._call,
                    "threads": shape.cpus_per_worker,
                    "gpu_share": shape.gpu_share,
                    "line": self._line,
                    "run_order": self._run_order,
                },
                shape,
                name=self._name,
                in_process=shape.workers == 1,
                most_restarts=_MOST_RESTARTS,
            ).fit()
        except BaseException as error:
            logging.getLogger(__name__).warning("worker group %s ended: %s", self._name, error)
            self._error = error
            self._no_room = found_no_room(error)


class TrialRunner(tune.Trainable):  # type: ignore[misc]
    """One step is one report; `reset_config` hands the next trial to the same workers."""

    group: ClassVar[type[WorkerGroup]] = WorkerGroup
    """That runs its trials."""

    @staticmethod
    def run_order() -> RunOrder | None:
        """What a trial is; None: the pipeline's stages. Another in a benchmark of everything around them."""
        return None

    def setup(self, config: TrialConfig) -> None:
        """Start the worker group.

        Its trial is handed out by the first step, not here: Tune may give the trial of an actor that is still
        starting to another that has become free, and both would run it.
        """
        self._group = self._new_group(config)
        self._waiting: TrialConfig | None = config
        self._reported = False

    def reset_config(self, new_config: TrialConfig) -> bool:
        """Take the next trial for the group; a group that has died is replaced."""
        if not self._group.alive:
            self._group = self._new_group(new_config)
        self._waiting = new_config
        return True

    def step(self) -> Row:
        """Let the trial begin or go on, and wait for what it says next (raises GroupLostError)."""
        if self._waiting is not None:
            # A fresh tag: anything that the group still says of an earlier trial is dropped.
            self._tag = world().token()
            self._group.hand_out(self._tag, Order.model_validate_json(self._waiting["order"]))
            self._waiting = None
        elif self._reported:
            self._group.answer(self._tag, "continue")
        message = self._group.next_message(self._tag)
        self._reported = isinstance(message, Report)
        if isinstance(message, Report):
            return dict(message.row)
        if isinstance(message, Alive):
            return {ALIVE: message.waits_for}
        return {**message.result, "reason": message.reason, OVER: message.how, "done": True}

    def cleanup(self) -> None:
        """End the group."""
        self._group.close()

    @classmethod
    def _new_group(cls, config: TrialConfig) -> WorkerGroup:
        line = None if config["line"] is None else MessageLine.named(config["line"])
        return cls.group(GroupShape(**config["shape"]), f"group-{world().token()[:8]}", line, cls.run_order())


def end_at_once(actor: Any) -> None:
    """End a group by the handle of its Tune actor, whatever its processes are doing: those that it owns go with it."""
    ray.kill(actor)
