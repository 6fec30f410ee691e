"""The loop that every worker of a group runs: take a trial, run it, report, take the next."""

import contextlib
import gc
import os
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict

import torch

from bissl_ray.bilevel import DivergedError
from bissl_ray.progress import (
    Alive,
    Decoding,
    Event,
    Note,
    Report,
    Sender,
    TrialEnded,
    TrialPausedError,
    TrialStoppedError,
)
from bissl_ray.training.order import Order
from bissl_ray.training.out_of_memory import StageOutOfMemoryError
from bissl_ray.training.pipeline import run_order
from bissl_ray.training.stages.diagnosis import TrialDiagnosedError
from bissl_ray.training.worker import Worker, from_ray_train, lost_a_peer
from bissl_ray.workers.mailbox import Answer, Call, HandedOut, RunOrder
from bissl_ray.world import world

if TYPE_CHECKING:
    from bissl_ray.workers.message_line import MessageLine

_WAIT_S: Final = 5.0
_SIGNS_S: Final = 60.0
"""Between two signs of life of a trial that works."""
_MEMORY_SLACK_BYTES: Final = 256 * 2**20


class MemoryNotReturnedError(RuntimeError):
    """Device memory of an ended trial did not come back; the group is restarted."""


class LoopConfig(TypedDict):
    """What a group tells its workers.

    Attributes:
        call: to the group's mailbox.
        threads: of this worker, on CPUs.
        gpu_share: of a GPU, that this worker has.
        line: to the driver; None: there is none.
        run_order: what a trial is; None: the pipeline's stages.
    """

    call: Call
    threads: int
    gpu_share: float
    line: "MessageLine | None"
    run_order: RunOrder | None


def worker_loop(config: LoopConfig) -> None:
    """Run trials until the mailbox is closed.

    Raises:
        Exception: whatever broke one worker of several on its own. The others may be waiting in a
            collective for it, so the group can't go on as it is: Ray Train restarts it, and the
            mailbox (told that the trial failed) hands out the next trial.
    """
    call = config["call"]
    torch.set_num_threads(config["threads"])
    worker = from_ray_train(config["gpu_share"])
    # Ray changes the working directory; relative paths were made absolute by the driver.
    memory = _memory(worker)
    # What has been imported stays: looking through all of it again after every trial takes a quarter of a second.
    gc.collect()
    gc.freeze()
    while True:
        # Agreed on also where there is none yet: a worker left waiting in a collective would run into its timeout.
        taken: HandedOut | None = worker.agree(call("next_order", _WAIT_S) if worker.is_chief else None)
        if taken is None:
            continue
        if taken.order is None:
            return
        run = config["run_order"] or run_order
        _run_one(run, _Speaker(call, worker, taken.tag, config["line"]), worker, taken.order)
        gc.collect()
        if worker.device.type == "cuda":
            torch.cuda.empty_cache()
            if _memory(worker) > memory + _MEMORY_SLACK_BYTES and worker.world_size > 1:
                raise MemoryNotReturnedError(f"{(_memory(worker) - memory) / 2**20:.0f} MiB are still held")


class _Speaker(Sender):
    """What one trial says: reports and its end to the mailbox, which answers; the rest to the driver."""

    def __init__(self, call: Call, worker: Worker, tag: str, line: "MessageLine | None") -> None:
        super().__init__()
        self._call, self._worker, self._tag, self._line = call, worker, tag, line
        self._next_sign = world().monotonic() + _SIGNS_S

    def deliver(self, event: Event) -> None:
        """To the driver, what reports can't carry: they are answered one by one, and images are decoded before them."""
        if self._line is not None and isinstance(event, Decoding | Note):
            self._line.put_or_drop(event)
        now = world().monotonic()
        if isinstance(event, Alive) or now >= self._next_sign:
            self._next_sign = now + _SIGNS_S
            self._call("alive", self._tag, event if isinstance(event, Alive) else Alive())

    def stop_asked(self) -> bool:
        """Never: a sweep's trials are stopped by the answers to their reports."""
        return False

    def report(self, row: Mapping[str, Any], is_chief: bool) -> None:
        """Leave it, and wait for the answer; all workers of the trial hear it."""
        answer: Answer | None = None
        if is_chief:
            answer = "stop" if not self._call("report", self._tag, Report(row)) else None
            while answer is None:
                answer = self._call("wait_for_answer", self._tag, _WAIT_S)
        if self._worker.agree(answer) == "stop":
            raise TrialStoppedError

    def again(self, order: Order, why: str) -> None:
        """Have the trial run once more, by an order that takes less memory."""
        self._call("again", self._tag, order, why)

    def ended(self, ended: TrialEnded) -> None:
        """Say how the trial ended."""
        self._call("end", self._tag, ended)


def _run_one(run: RunOrder, speaker: _Speaker, worker: Worker, order: Order) -> None:
    try:
        result = run(order, worker, speaker)
    except TrialStoppedError:
        return
    except TrialPausedError:
        if worker.is_chief:
            speaker.ended(TrialEnded("paused"))
    except TrialDiagnosedError as diagnosis:
        if worker.is_chief:
            speaker.ended(TrialEnded("pruned", reason=str(diagnosis)))
    except StageOutOfMemoryError as error:
        if error.again is None:
            _failed(error, speaker, worker)
            return
        # Taken again by the loop; where there are several workers, the others wait in a collective for this one.
        speaker.again(error.again, str(error))
        if worker.world_size > 1:
            raise
    except Exception as error:
        if lost_a_peer(error):
            # Another worker died. That is not the trial's fault: Ray Train restarts the group, and the mailbox
            # hands the trial out again, to go on from its own checkpoint.
            raise
        _failed(error, speaker, worker)
    else:
        if worker.is_chief:
            speaker.ended(TrialEnded("complete", result))


def _failed(error: Exception, speaker: _Speaker, worker: Worker) -> None:
    speaker.ended(TrialEnded("failed", reason=_reason(error)))
    # Raised alike on every worker, from values that all of them share: the group is in step. (A BadInputError
    # need not be: an image that can't be decoded is met by one worker alone.)
    in_step = isinstance(error, DivergedError) or getattr(error, "in_step", False)
    if worker.world_size > 1 and not in_step:
        raise error


def _reason(error: Exception) -> str:
    """One line for the board: what broke, and where in our code."""
    where = ""
    with contextlib.suppress(IndexError):
        frame = [f for f in traceback.extract_tb(error.__traceback__) if "bissl_ray" in f.filename][-1]
        where = f" ({os.path.basename(frame.filename)}:{frame.lineno})"  # noqa: PTH119
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:500]}{where}"


def _memory(worker: Worker) -> int:
    return torch.cuda.memory_allocated(worker.device) if worker.device.type == "cuda" else 0
