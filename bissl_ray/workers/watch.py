"""Looks after the cluster that a job runs on: one that is gone ends the job in order, and never leaves it waiting.

Ray's own answer is late and rude: a driver whose cluster controller (GCS) is gone hears nothing for a minute, and is
then ended by Ray's core with no word of its own; one whose last node is gone waits for another without end.
"""

import atexit
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import ray
from ray._private import worker as ray_worker

from bissl_ray.workers import ray_log
from bissl_ray.workers.address import host_and_port
from bissl_ray.workers.own_processes import end_those_of_ours, last_words

_LOOK_S: Final = 1.0
_SILENT_S: Final = 40.0
"""So long a cluster that was joined may refuse connections: less than the minute after which Ray ends its drivers."""
_ORDERLY_S: Final = 20.0
_HURRIED_S: Final = 5.0
"""What a job has for its end, and what it has without a GCS, for which Ray may wait where nothing can interrupt it."""
_OURS: Final = {"raylet": "the node's process (raylet)", "gcs_server": "the cluster's controller (GCS)"}
_LOST: list[str] = []


def lost() -> str | None:
    """Why the cluster that this process is connected to is of no use any more; None: it is."""
    return _LOST[-1] if _LOST else None


def forget() -> None:
    """Say that the process has left that cluster."""
    _LOST.clear()


@contextmanager
def watched(what: str, go_on: str, on_loss: Callable[[str], None]) -> Iterator[None]:
    """Watch the cluster that this process is connected to, for the duration of a `with` block.

    Args:
        what: runs on it, for the last line: "sweep night".
        go_on: what takes it up again, likewise.
        on_loss: called by a thread, with the reason, when it is gone: the block is to end. Where it does not, it is
            interrupted, and where that does not help, the process ends with code 1.
    """
    over = threading.Event()
    main = threading.main_thread() is threading.current_thread()
    watch = _Watch(f"bissl-ray: {what} stopped", f"What was reported is saved; go on with {go_on}", on_loss, over, main)
    threading.Thread(target=watch.run, name=f"watch-{what}", daemon=True).start()
    try:
        yield
    finally:
        over.set()


class _Watch:
    def __init__(
        self, stopped: str, go_on: str, on_loss: Callable[[str], None], over: threading.Event, main: bool
    ) -> None:
        self._stopped, self._go_on, self._on_loss, self._over, self._main = stopped, go_on, on_loss, over, main
        self._node: Any = ray_worker._global_node
        self._gcs = None if self._node is None else str(self._node.gcs_address)
        self._silent = 0.0

    def run(self) -> None:
        """Look until the block is over."""
        while not self._over.wait(_LOOK_S):
            gone = self._gone()
            if gone is not None:
                reason, patience = gone
                self._end(f"{reason}{ray_log.pointer()}", patience)
                return

    def _gone(self) -> tuple[str, float] | None:
        """Why the cluster is of no use, and how many seconds the job has for its end; None: it is."""
        if self._node is None:
            return None
        for kind, process in self._node.dead_processes():
            if kind in _OURS:
                how = f"{_OURS[kind]} has ended unexpectedly, with {_how(process.returncode)}"
                return how, _ORDERLY_S if kind == "raylet" else _HURRIED_S
        if not self._node.all_processes:  # somebody else's
            self._silent = 0.0 if self._answers() else self._silent + _LOOK_S
            if self._silent >= _SILENT_S:
                return f"the cluster at {self._gcs} has not answered for {_SILENT_S:.0f} s", _HURRIED_S
        return None

    def _answers(self) -> bool:
        assert self._gcs is not None
        with suppress(OSError):
            socket.create_connection(host_and_port(self._gcs), timeout=_LOOK_S).close()
            return True
        return False

    def _end(self, reason: str, patience: float) -> None:
        _LOST.append(reason)
        ray_log.write(f"{reason}\n{last_words(self._node.get_logs_dir_path())}")
        self._on_loss(reason)
        if self._over.wait(patience):
            return
        if self._main:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        if self._over.wait(patience):
            return
        end_those_of_ours()
        with suppress(OSError, ValueError):
            cursor = "\n\x1b[?25h" if sys.stderr.isatty() else ""  # which a picture that is redrawn hides
            sys.stderr.write(f"{cursor}{self._stopped}: {reason}. {self._go_on}\n")
            sys.stderr.flush()
        os._exit(1)


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"


def disconnect() -> None:
    """Leave the cluster; of one that is gone nothing is waited for."""
    if lost() is None:
        ray.shutdown()
        return
    atexit.unregister(ray_worker.shutdown)
    leaving = threading.Thread(target=ray.shutdown, name="ray-shutdown", daemon=True)
    leaving.start()
    leaving.join(_LOOK_S)
    forget()
