"""The loop that every worker of a group runs: take a trial, run it, report, take the next."""

import contextlib
import gc
import os
import traceback
from collections.abc import Callable
from typing import Any

import torch

from bissl_ray.bilevel import DivergedError
from bissl_ray.training.order import Order
from bissl_ray.training.pipeline import run_order
from bissl_ray.training.stages.diagnosis import TrialDiagnosedError
from bissl_ray.training.watch import TrialStoppedError
from bissl_ray.training.worker import Worker, from_ray_train, lost_a_peer
from bissl_ray.workers.mailbox import Answer
from bissl_ray.workers.trial_news import TrialNews

Call = Callable[..., Any]
"""`call(method, *arguments)` on the mailbox, wherever it lives."""

_WAIT_S = 5.0
_MEMORY_SLACK_BYTES = 256 * 2**20


class MemoryNotReturnedError(RuntimeError):
    """Device memory of an ended trial did not come back; the group is restarted."""


def worker_loop(config: dict[str, Any]) -> None:
    """Run trials until the mailbox is closed.

    Args:
        config: "call", a `Call` to the group's mailbox; "threads", CPU threads of this worker; "news", a `MessageLine`
            to the driver, or None.

    Raises:
        Exception: whatever broke one worker of several on its own. The others may be waiting in a
            collective for it, so the group can't go on as it is: Ray Train restarts it, and the
            mailbox (told that the trial failed) hands out the next trial.
    """
    call: Call = config["call"]
    torch.set_num_threads(config["threads"])
    news = None if config["news"] is None else TrialNews(config["news"])
    worker = from_ray_train()
    # Ray changes the working directory; relative paths were made absolute by the driver.
    memory = _memory(worker)
    while True:
        # Agreed on also where there is none yet: a worker left waiting in a collective would run into its timeout.
        taken: tuple[str, str, dict[str, Any]] | None = worker.agree(
            call("next_order", _WAIT_S) if worker.is_chief else None
        )
        if taken is None:
            continue
        kind, tag, order = taken
        if kind == "close":
            return
        _run_one(call, worker, tag, Order.from_mapping(order), news)
        gc.collect()
        if worker.device.type == "cuda":
            torch.cuda.empty_cache()
            if _memory(worker) > memory + _MEMORY_SLACK_BYTES and worker.world_size > 1:
                raise MemoryNotReturnedError(f"{(_memory(worker) - memory) / 2**20:.0f} MiB are still held")


def _run_one(call: Call, worker: Worker, tag: str, order: Order, news: TrialNews | None) -> None:
    def report(row: dict[str, Any]) -> None:
        answer: Answer | None = None
        if worker.is_chief:
            answer = "stop" if not call("report", tag, row) else None
            while answer is None:
                answer = call("wait_for_answer", tag, _WAIT_S)
        if worker.agree(answer) == "stop":
            raise TrialStoppedError

    try:
        result = run_order(order, worker, report, news=news)
    except TrialStoppedError:
        return
    except TrialDiagnosedError as diagnosis:
        if worker.is_chief:
            call("prune", tag, str(diagnosis))
    except Exception as error:
        if lost_a_peer(error):
            # Another worker died. That is not the trial's fault: Ray Train restarts the group, and the mailbox
            # hands the trial out again, to go on from its own checkpoint.
            raise
        reason = _reason(error)
        call("fail", tag, reason)
        # Raised alike on every worker, from values that all of them share: the group is in step. (A BadInputError
        # need not be: an image that can't be decoded is met by one worker alone.)
        in_step = isinstance(error, DivergedError) or getattr(error, "in_step", False)
        if worker.world_size > 1 and not in_step:
            raise
    else:
        if worker.is_chief:
            call("finish", tag, result)


def _reason(error: Exception) -> str:
    """One line for the board: what broke, and where in our code."""
    where = ""
    with contextlib.suppress(IndexError):
        frame = [f for f in traceback.extract_tb(error.__traceback__) if "bissl_ray" in f.filename][-1]
        where = f" ({os.path.basename(frame.filename)}:{frame.lineno})"  # noqa: PTH119
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}{where}"


def _memory(worker: Worker) -> int:
    return torch.cuda.memory_allocated(worker.device) if worker.device.type == "cuda" else 0
