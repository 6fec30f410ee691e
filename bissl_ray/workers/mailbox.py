"""Where a trainable and its worker group leave things for each other.

The group takes the next trial from it, leaves a report after each alternation and waits for the answer; the
trainable hands trials out, collects reports and decides. Every message carries its trial's tag, so that a late
one is dropped. Plain threads and no Ray: a group in process uses it directly, a group of several workers
through an actor that takes no CPU.
"""

import threading
import time
from dataclasses import dataclass
from typing import Any, Literal

Answer = Literal["continue", "stop"]
MOST_ATTEMPTS = 3
"""How often a trial is begun or gone on with before its dying workers count as its failure."""


@dataclass(frozen=True)
class Message:
    """What a group says of its trial: a report, its result, why it ended itself early, or why it failed."""

    kind: Literal["report", "result", "diagnosis", "failure"]
    content: dict[str, Any]


@dataclass
class _Trial:
    tag: str
    order: dict[str, Any]
    attempts: int = 0
    answer: Answer | None = None
    waiting: bool = False
    over: bool = False


class Mailbox:
    """Thread-safe; every method returns within its timeout."""

    def __init__(self, most_attempts: int = MOST_ATTEMPTS):
        """Set up.

        Args:
            most_attempts: how often a trial is handed out (its worker died) before it is failed.
        """
        self._most_attempts = most_attempts
        self._changed = threading.Condition()
        self._trial: _Trial | None = None
        self._messages: list[Message] = []
        self._closed = False

    # The trainable's side

    def hand_out(self, tag: str, order: dict[str, Any]) -> None:
        """Give the group its next trial; whatever it was doing is stopped at its next report."""
        with self._changed:
            self._trial = _Trial(tag, order)
            self._messages.clear()
            self._changed.notify_all()

    def next_message(self, tag: str, timeout: float) -> Message | None:
        """The next message of this trial, or None when the timeout (seconds) passes first."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._messages) or not self._is_current(tag), timeout)
            return self._messages.pop(0) if self._messages and self._is_current(tag) else None

    def answer(self, tag: str, answer: Answer) -> None:
        """Answer the report that this trial waits on; nothing happens if it doesn't wait."""
        with self._changed:
            if self._is_current(tag) and self._trial is not None and self._trial.waiting:
                self._trial.answer = answer
                self._changed.notify_all()

    def close(self) -> None:
        """Tell the group to end."""
        with self._changed:
            self._closed = True
            self._trial = None
            self._changed.notify_all()

    # The group's side (its chief)

    def next_order(self, timeout: float) -> tuple[str, str, dict[str, Any]] | None:
        """Take the next trial.

        A trial that was taken before and never ended had its workers die: it is taken again, up to
        `most_attempts` times, then failed.

        Returns:
            ("run", tag, order), ("close", "", {}), or None when the timeout (seconds) passes first.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                left = deadline - time.monotonic()
                if not self._changed.wait_for(lambda: self._closed or self._open_trial() is not None, max(left, 0)):
                    return None
                if self._closed:
                    return ("close", "", {})
                trial = self._open_trial()
                assert trial is not None
                if trial.attempts < self._most_attempts:
                    trial.attempts += 1
                    return ("run", trial.tag, trial.order)
                self._end(trial, Message("failure", {"reason": f"its workers died {trial.attempts} times"}))

    def report(self, tag: str, row: dict[str, Any]) -> bool:
        """Leave a report. Returns False, and the trial must stop, when the tag is not the current one's."""
        with self._changed:
            if not self._is_current(tag) or self._trial is None:
                return False
            self._trial.waiting, self._trial.answer = True, None
            self._messages.append(Message("report", {**row, "attempts": self._trial.attempts}))
            self._changed.notify_all()
            return True

    def wait_for_answer(self, tag: str, timeout: float) -> Answer | None:
        """The answer to the last report, or None when the timeout (seconds) passes first."""
        with self._changed:

            def answered() -> bool:
                return not self._is_current(tag) or (self._trial is not None and self._trial.answer is not None)

            if not self._changed.wait_for(answered, timeout):
                return None
            if not self._is_current(tag) or self._trial is None:
                return "stop"
            self._trial.waiting = False
            if self._trial.answer == "stop":
                self._trial.over = True
            return self._trial.answer

    def finish(self, tag: str, result: dict[str, Any]) -> None:
        """Leave the trial's result: it is over."""
        self._over(tag, Message("result", result))

    def prune(self, tag: str, reason: str) -> None:
        """Say in words why the trial ended itself early, in good order: it is over."""
        self._over(tag, Message("diagnosis", {"reason": reason}))

    def fail(self, tag: str, reason: str) -> None:
        """Say in words why the trial failed: it is over."""
        self._over(tag, Message("failure", {"reason": reason}))

    # Under the lock

    def _over(self, tag: str, message: Message) -> None:
        with self._changed:
            if self._is_current(tag) and self._trial is not None and not self._trial.over:
                self._end(self._trial, message)

    def _end(self, trial: _Trial, message: Message) -> None:
        trial.over = True
        message.content["attempts"] = trial.attempts
        self._messages.append(message)
        self._changed.notify_all()

    def _is_current(self, tag: str) -> bool:
        return not self._closed and self._trial is not None and self._trial.tag == tag

    def _open_trial(self) -> _Trial | None:
        return self._trial if self._trial is not None and not self._trial.over else None
