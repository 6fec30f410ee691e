"""Run one order by itself, in this process or on a group of workers, and follow it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bissl_ray.bilevel import DivergedError
from bissl_ray.errors import BadInputError, RunFailedError
from bissl_ray.training.files import exists
from bissl_ray.training.order import Order
from bissl_ray.training.pipeline import run_order
from bissl_ray.training.stages.diagnosis import TrialDiagnosedError
from bissl_ray.training.watch import Advance, Pause, TrialStoppedError
from bissl_ray.training.worker import alone, from_ray_train, lost_a_peer

if TYPE_CHECKING:
    from bissl_ray.workers.message_line import MessageLine
    from bissl_ray.workers.train_run import GroupShape

_SAID_IN_WORDS = (BadInputError, TrialDiagnosedError, DivergedError, FloatingPointError)
"""What a run may end with that is no fault of the program: its message is all that a person needs."""


class Follower(Protocol):
    """Who follows a run, in the process that started it."""

    def advanced(self, advance: Advance) -> None:
        """See where the run is; a few times a second."""

    def reported(self, row: dict[str, Any]) -> None:
        """See a row of measurements, after an epoch or an alternation."""

    def note(self, line: str) -> None:
        """See a line that a person should read."""


@dataclass(frozen=True)
class RunEnd:
    """How a run ended.

    Attributes:
        result: as `run_order` gives it; None where it was stopped.
        saved: where it was stopped: whether it saved where it was. Scoring and decoding have nothing to save, and
            workers that don't answer have only what they saved earlier.
    """

    result: dict[str, Any] | None
    saved: bool = True


def run_here(order: Order, follower: Follower, stop_asked: Callable[[], bool]) -> RunEnd:
    """Run an order in this process, without Ray, on its GPU or else on the CPU.

    Args:
        order: what to run.
        follower: is told how it goes.
        stop_asked: whether to save where it is and stop; asked after every step.

    Raises:
        RunFailedError: it ended early, for a reason that can be said in words.
        Exception: anything else that broke it.
    """
    watch = _Here(follower, stop_asked)
    try:
        return RunEnd(run_order(order, alone(), follower.reported, watch, watch))
    except TrialStoppedError:
        return RunEnd(None, saved=_has_progress(order))
    except _SAID_IN_WORDS as error:
        raise RunFailedError(str(error)) from error


def run_on_workers(order: Order, shape: "GroupShape", follower: Follower, stop_asked: Callable[[], bool]) -> RunEnd:
    """Run an order on a group of workers of the cluster that this process is connected to; as `run_here`.

    A worker that dies takes the group with it; Ray Train starts it again, to go on from the last saved progress.
    """
    from bissl_ray.workers.train_run import run_with_messages

    told = Told(follower)
    config = {"order": order.to_mapping(), "threads": shape.cpus_per_worker}
    done = run_with_messages(_on_worker, config, shape, name=order.trial, on_message=told.take, stopped=stop_asked)
    return RunEnd(told.result) if done else RunEnd(None, saved=told.stopped and _has_progress(order))


def _has_progress(order: Order) -> bool:
    return exists(order.storage, f"{order.folder}/progress.pt")


@dataclass
class Told:
    """What the workers of a run have said so far.

    Attributes:
        follower: who follows the run.
        result: of the run, once it has ended.
        stopped: whether the chief said that it stopped, as it was asked to.
    """

    follower: Follower
    result: dict[str, Any] = field(default_factory=dict)
    stopped: bool = False

    def take(self, message: tuple[str, Any]) -> bool:
        """Take a message; returns whether to go on listening (raises RunFailedError: the run has failed)."""
        kind, content = message
        match kind:
            case "advance":
                self.follower.advanced(content)
            case "report":
                self.follower.reported(content)
            case "note":
                self.follower.note(content)
            case "result":
                self.result.update(content)
            case "stopped":
                self.stopped = True
            case "failure":
                raise RunFailedError(content)
        # The other workers wait for a chief that has stopped: disconnecting ends them.
        return not self.stopped


def _on_worker(config: dict[str, Any]) -> None:
    import torch

    torch.set_num_threads(config["threads"])
    worker = from_ray_train()
    line: MessageLine = config["line"]
    watch = _FromAfar(line)

    def report(row: dict[str, Any]) -> None:
        if worker.is_chief:
            watch.say("report", row)

    try:
        result = run_order(Order.from_mapping(config["order"]), worker, report, watch, watch)
    except TrialStoppedError:
        line.put(("stopped", None))
    except _SAID_IN_WORDS as error:
        line.put(("failure", str(error)))
        raise
    except Exception as error:
        # Another worker is gone: Ray Train starts the group again.
        if not lost_a_peer(error):
            line.put(("failure", f"{type(error).__name__}: {' '.join(str(error).split())}"))
        raise
    else:
        if worker.is_chief:
            line.put(("result", result))


class _WhileDecoding(ABC):
    """A watch that follows the decoding of images, too, and may stop that."""

    def __init__(self) -> None:
        self.due = Pause().over

    @abstractmethod
    def advanced(self, advance: Advance) -> None: ...

    @abstractmethod
    def stop_asked(self) -> bool: ...

    def decoded(self, done: int, total: int) -> None:
        if self.due() or done == total:
            self.advanced(Advance("decoding", done, total, "image"))
        if self.stop_asked():
            raise TrialStoppedError


class _Here(_WhileDecoding):
    """The watch of a run in this process."""

    def __init__(self, follower: Follower, stop_asked: Callable[[], bool]):
        super().__init__()
        self._follower = follower
        self._stop_asked = stop_asked

    def advanced(self, advance: Advance) -> None:
        self._follower.advanced(advance)

    def note(self, line: str) -> None:
        self._follower.note(line)

    def stop_asked(self) -> bool:
        return self._stop_asked()


class _FromAfar(_WhileDecoding):
    """The watch of a run on workers: what it says, and the answers, go through a message line."""

    def __init__(self, line: "MessageLine"):
        super().__init__()
        self._line = line
        self._stop = False

    def say(self, kind: str, content: Any) -> None:
        self._stop = self._line.put((kind, content))

    def advanced(self, advance: Advance) -> None:
        self.say("advance", advance)

    def note(self, line: str) -> None:
        self.say("note", line)

    def stop_asked(self) -> bool:
        return self._stop
