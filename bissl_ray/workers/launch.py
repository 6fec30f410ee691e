"""Run one order by itself, in this process or on a group of workers, and show how it goes."""

import gc
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypedDict

import torch

from bissl_ray.bilevel import DivergedError
from bissl_ray.data.machine import processors
from bissl_ray.errors import BadInputError, RunFailedError
from bissl_ray.progress import Event, LocalSender, Note, Sender, TrialEnded, TrialPausedError, TrialStoppedError, View
from bissl_ray.replay import ReplayError
from bissl_ray.store.schema import Row
from bissl_ray.training.files import exists, progress_file
from bissl_ray.training.order import Order
from bissl_ray.training.out_of_memory import StageOutOfMemoryError
from bissl_ray.training.pipeline import run_order
from bissl_ray.training.sparing import once_more
from bissl_ray.training.stages.diagnosis import TrialDiagnosedError
from bissl_ray.training.tensors import DamagedTensorsError
from bissl_ray.training.worker import alone, from_ray_train, lost_a_peer
from bissl_ray.workers import ray_log

if TYPE_CHECKING:
    from bissl_ray.workers.losses import Losses
    from bissl_ray.workers.message_line import MessageLine
    from bissl_ray.workers.shape import GroupShape

_SAID_IN_WORDS: Final = (
    BadInputError,
    TrialDiagnosedError,
    DivergedError,
    FloatingPointError,
    ReplayError,
    StageOutOfMemoryError,
    DamagedTensorsError,
)
"""What a run may end with that is no fault of the program: its message is all that a person needs."""


@dataclass(frozen=True)
class RunEnd:
    """How a run ended.

    Attributes:
        result: as `run_order` gives it; empty where it paused as its order says; None where it was stopped.
        saved: where it was stopped: whether it saved where it was. Scoring and decoding have nothing to save, and
            workers that don't answer have only what they saved earlier.
    """

    result: Row | None
    saved: bool = True


def run_here(order: Order, view: View, stop_asked: Callable[[], bool]) -> RunEnd:
    """Run an order in this process, without Ray, on its GPU or else on the CPU.

    Args:
        order: what to run.
        view: shows how it goes.
        stop_asked: whether to save where it is and stop; asked after every step.

    Raises:
        RunFailedError: it ended early, for a reason that can be said in words.
        Exception: anything else that broke it.
    """
    # torch counts the processors that it may run on, and knows of no container's quota.
    torch.set_num_threads(order.threads or min(torch.get_num_threads(), processors()))
    again: Order | None = order
    while again is not None:
        try:
            return RunEnd(run_order(again, alone(), LocalSender(view, stop_asked)))
        except TrialPausedError:
            return RunEnd({})
        except TrialStoppedError:
            return RunEnd(None, saved=_has_progress(order))
        except StageOutOfMemoryError as error:
            if error.again is None:
                raise RunFailedError(str(error)) from error
            again = error.again
            view.show(Note(once_more(str(error))))
        except _SAID_IN_WORDS as error:
            raise RunFailedError(str(error)) from error
        gc.collect()
    raise AssertionError


def run_on_workers(
    order: Order, shape: "Callable[[], GroupShape]", view: View, stop_asked: Callable[[], bool]
) -> RunEnd:
    """Run an order on a group of workers of the cluster that this process is connected to; as `run_here`.

    A worker that dies, with its machine or alone, takes the group with it: the order is run again, on what there is
    room for then, and goes on from the last saved progress.

    Args:
        order: what to run.
        shape: of the group that there is room for.
        view: shows how it goes.
        stop_asked: whether to save where it is and stop.

    Raises:
        RunFailedError: as there; or the workers are lost for good.
    """
    from bissl_ray.workers.train_run import run_with_messages

    told = Told(view)

    def lost(losses: "Losses") -> None:
        view.show(Note(f"a worker of {order.trial} was lost: it goes on, {losses.attempt}"))

    try:
        done = run_with_messages(
            _on_worker,
            {"order": order},
            shape,
            name=order.trial,
            on_message=told.take,
            on_loss=lost,
            stopped=stop_asked,
        )
    except RunFailedError:
        raise
    except Exception as error:  # what broke a run, its workers say: this is Ray's
        ray_log.write(traceback.format_exc())
        raise RunFailedError(
            f"its workers were lost, and did not come back ({' '.join(str(error).split())[:200]}){ray_log.pointer()}"
        ) from None
    return RunEnd(told.result) if done else RunEnd(None, saved=told.stopped and _has_progress(order))


def _has_progress(order: Order) -> bool:
    return exists(order.storage, progress_file(order.folder))


@dataclass
class Told:
    """What the workers of a run have said so far.

    Attributes:
        view: shows it.
        result: of the run, once it has ended.
        stopped: whether the chief said that it stopped, as it was asked to.
    """

    view: View
    result: Row = field(default_factory=dict)
    stopped: bool = False

    def take(self, event: Event) -> bool:
        """Take an event; returns whether to go on listening (raises RunFailedError: the run has failed)."""
        match event:
            case TrialEnded(how="failed"):
                raise RunFailedError(str(event.reason))
            case TrialEnded(how="stopped"):
                self.stopped = True
            case TrialEnded():
                self.result.update(event.result)
            case _:
                self.view.show(event)
        # The other workers wait for a chief that has stopped: disconnecting ends them.
        return not self.stopped


class _Work(TypedDict):
    order: Order
    threads: int
    line: "MessageLine"


def _on_worker(config: _Work) -> None:
    torch.set_num_threads(config["order"].threads or config["threads"])
    worker = from_ray_train()
    sender = _LineSender(config["line"])
    again: Order | None = config["line"].left()
    try:
        result = run_order(again or config["order"], worker, sender)
    except TrialPausedError:
        return
    except TrialStoppedError:
        sender.deliver(TrialEnded("stopped"))
    except StageOutOfMemoryError as error:
        if error.again is None:
            sender.deliver(TrialEnded("failed", reason=str(error)))
        else:  # Ray Train starts the group again, which finds what is left for it
            config["line"].leave(error.again)
            sender.deliver(Note(once_more(str(error))))
        raise
    except _SAID_IN_WORDS as error:
        sender.deliver(TrialEnded("failed", reason=str(error)))
        raise
    except Exception as error:
        # Another worker is gone: Ray Train starts the group again.
        if not lost_a_peer(error):
            sender.deliver(TrialEnded("failed", reason=f"{type(error).__name__}: {' '.join(str(error).split())}"))
        raise
    else:
        if worker.is_chief:
            sender.deliver(TrialEnded("complete", result))


class _LineSender(Sender):
    """Through a message line, whose answers bring a wish to stop back."""

    def __init__(self, line: "MessageLine") -> None:
        super().__init__()
        self._line = line
        self._stop = False

    def deliver(self, event: Event) -> None:
        self._stop = self._line.put(event)

    def stop_asked(self) -> bool:
        return self._stop
