"""Where a trainable and its worker group leave things for each other.

The group takes the next trial from it, leaves a report after each alternation and waits for the answer; the
trainable hands trials out, collects reports and decides. Every message carries its trial's tag, so that a late
one is dropped. Plain threads and no Ray: a group in process uses it directly, a group of several workers
through an actor that takes no CPU.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from bissl_ray.progress import Alive, Report, TrialEnded
from bissl_ray.workers.losses import Losses
from bissl_ray.world import world

if TYPE_CHECKING:
    from bissl_ray.progress import Sender
    from bissl_ray.training.order import Order
    from bissl_ray.training.worker import Worker

Call = Callable[..., Any]
"""`call(method, *arguments)` on the mailbox, wherever it lives: `call_here` or `call_actor`, with where that is."""
RunOrder = Callable[["Order", "Worker", "Sender"], dict[str, Any]]
"""What a group's workers do with a trial that they take; as `bissl_ray.training.pipeline.run_order`."""
Answer = Literal["continue", "stop"]
Message = Alive | Report | TrialEnded
"""What a group says of its trial."""


@dataclass(frozen=True)
class HandedOut:
    """A trial for a group; without an order, the group is to end."""

    tag: str = ""
    order: "Order | None" = None


@dataclass
class _Trial:
    tag: str
    order: "Order"
    attempts: int = 0
    losses: Losses = field(default_factory=Losses)
    spared: str | None = None
    is_spared: bool = False
    """Whether it runs once more because it was short of memory, which was no loss of a worker."""
    answer: Answer | None = None
    waiting: bool = False
    over: bool = False

    @property
    def known(self) -> dict[str, Any]:
        """What is told of it beside its own words."""
        spared = {} if self.spared is None else {"spared": self.spared}
        return {"attempts": self.attempts, **spared}


class Mailbox:
    """Thread-safe; every method returns within its timeout."""

    def __init__(self) -> None:
        self._changed = world().condition()
        self._trial: _Trial | None = None
        self._messages: list[Message] = []
        self._closed = False

    # The trainable's side

    def hand_out(self, tag: str, order: "Order") -> None:
        """Give the group its next trial; whatever it was doing is stopped at its next report."""
        with self._changed:
            self._trial = _Trial(tag, order)
            self._messages.clear()
            self._changed.notify_all()

    def next_message(self, tag: str, timeout: float) -> Message | None:
        """The next message of this trial, or None when the timeout (seconds) passes first."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._messages) or self._current(tag) is None, timeout)
            return self._messages.pop(0) if self._messages and self._current(tag) is not None else None

    def answer(self, tag: str, answer: Answer) -> None:
        """Answer the report that this trial waits on; nothing happens if it doesn't wait."""
        with self._changed:
            trial = self._current(tag)
            if trial is not None and trial.waiting:
                trial.answer = answer
                self._changed.notify_all()

    def close(self) -> None:
        """Tell the group to end."""
        with self._changed:
            self._closed = True
            self._trial = None
            self._changed.notify_all()

    # The group's side (its chief)

    def next_order(self, timeout: float) -> HandedOut | None:
        """Take the next trial, or the word to end; None when the timeout (seconds) passes first.

        A trial that was taken before and never ended had its workers die: it is taken again, until that has happened
        too often (`workers.losses`); then it has failed.
        """
        deadline = world().monotonic() + timeout
        with self._changed:
            while True:
                left = deadline - world().monotonic()
                if not self._changed.wait_for(lambda: self._closed or self._open_trial() is not None, max(left, 0)):
                    return None
                if self._closed:
                    return HandedOut()
                trial = self._open_trial()
                assert trial is not None
                if trial.attempts and not trial.is_spared:
                    trial.losses.lost()
                trial.is_spared = False
                if not trial.losses.are_too_many:
                    trial.attempts += 1
                    return HandedOut(trial.tag, trial.order)
                in_a_row = f"its workers died {trial.losses.since} times, without a new report in between"
                self._end(trial, TrialEnded("failed", reason=in_a_row))

    def report(self, tag: str, report: Report) -> bool:
        """Leave a report. Returns False, and the trial must stop, when the tag is not the current one's."""
        with self._changed:
            trial = self._current(tag)
            if trial is None:
                return False
            trial.waiting, trial.answer = True, None
            trial.losses.reported(*report.row.get("earlier", ()), report.row)
            self._messages.append(Report({**report.row, **trial.known}))
            self._changed.notify_all()
            return True

    def alive(self, tag: str, sign: Alive) -> None:
        """Leave a sign of life, in the place of one that nobody has looked at yet."""
        with self._changed:
            if self._current(tag) is not None:
                self._messages[:] = [message for message in self._messages if not isinstance(message, Alive)]
                self._messages.append(sign)
                self._changed.notify_all()

    def wait_for_answer(self, tag: str, timeout: float) -> Answer | None:
        """The answer to the last report, or None when the timeout (seconds) passes first."""
        with self._changed:
            self._changed.wait_for(lambda: (trial := self._current(tag)) is None or trial.answer is not None, timeout)
            trial = self._current(tag)
            if trial is None:
                return "stop"
            trial.waiting = trial.answer is None
            trial.over = trial.over or trial.answer == "stop"
            return trial.answer

    def again(self, tag: str, order: "Order", why: str) -> None:
        """Have the trial run once more, by another order, when it is taken next; the first such word counts.

        Args:
            tag: of the trial.
            order: what takes less memory.
            why: what it ran out of, in words.
        """
        with self._changed:
            trial = self._current(tag)
            if trial is not None and not trial.over and trial.spared is None:
                trial.order, trial.spared, trial.is_spared = order, why, True
                self._changed.notify_all()

    def end(self, tag: str, ended: TrialEnded) -> None:
        """Say how the trial ended; nothing happens where it is over already, or another's turn."""
        with self._changed:
            trial = self._current(tag)
            if trial is not None and not trial.over:
                self._end(trial, ended)

    # Under the lock

    def _end(self, trial: _Trial, ended: TrialEnded) -> None:
        trial.over = True
        self._messages.append(replace(ended, result={**ended.result, **trial.known}))
        self._changed.notify_all()

    def _current(self, tag: str) -> _Trial | None:
        """The trial of a tag, where it is the one that the group has."""
        return self._trial if not self._closed and self._trial is not None and self._trial.tag == tag else None

    def _open_trial(self) -> _Trial | None:
        return self._trial if self._trial is not None and not self._trial.over else None


def call_here(mailbox: Mailbox, method: str, *arguments: Any) -> Any:
    """Call a mailbox of this process."""
    return getattr(mailbox, method)(*arguments)


def call_actor(actor: Any, method: str, *arguments: Any) -> Any:
    """Call a mailbox that lives in an actor."""
    import ray

    return ray.get(getattr(actor, method).remote(*arguments))
