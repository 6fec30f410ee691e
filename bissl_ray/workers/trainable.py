"""The Tune class trainable that owns one worker group and feeds it trial after trial."""

import uuid
from typing import Any, Final

from ray import tune

from bissl_ray.progress import Report
from bissl_ray.training.order import Order
from bissl_ray.workers.group import WorkerGroup
from bissl_ray.workers.message_line import MessageLine
from bissl_ray.workers.train_run import GroupShape

OVER: Final = "over"
"""Key of a trial's last result: "complete", "pruned" or "failed". A trial that ends without one was stopped."""


class TrialRunner(tune.Trainable):  # type: ignore[misc]
    """One step is one report; `reset_config` hands the next trial to the same workers.

    Its configuration: "order", an `Order` as JSON; "shape", of its worker group; "line", the name of the driver's
    `MessageLine`, or None.
    """

    _reported: bool

    def setup(self, config: dict[str, Any]) -> None:
        """Start the worker group.

        Its trial is handed out by the first step, not here: Tune may give the trial of an actor that is still
        starting to another that has become free, and both would run it.
        """
        self._group = self._new_group(config)
        self._waiting: dict[str, Any] | None = config
        self._reported = False

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial for the group; a group that has died is replaced."""
        if not self._group.alive:
            self._group = self._new_group(new_config)
        self._waiting = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Let the trial begin or go on, and wait for what it says next."""
        if self._waiting is not None:
            self._hand_out(self._waiting)
            self._waiting = None
        elif self._reported:
            self._group.answer(self._tag, "continue")
        message = self._group.next_message(self._tag)
        self._reported = isinstance(message, Report)
        if isinstance(message, Report):
            return dict(message.row)
        return {**message.result, "reason": message.reason, OVER: message.how, "done": True}

    def cleanup(self) -> None:
        """End the group."""
        self._group.close()

    def _hand_out(self, config: dict[str, Any]) -> None:
        # A fresh tag: anything that the group still says of an earlier trial is dropped.
        self._tag = uuid.uuid4().hex
        self._group.hand_out(self._tag, Order.model_validate_json(config["order"]))

    @staticmethod
    def _new_group(config: dict[str, Any]) -> WorkerGroup:
        line = None if config["line"] is None else MessageLine.named(config["line"])
        return WorkerGroup(GroupShape(**config["shape"]), f"group-{uuid.uuid4().hex[:8]}", line)
