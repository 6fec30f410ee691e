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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import ray
from ray._private import worker as ray_worker

from bissl_ray import outputs
from bissl_ray.workers import ray_log
from bissl_ray.workers.address import host_and_port
from bissl_ray.workers.interrupt import Interrupt
from bissl_ray.workers.own_processes import end_those_of_ours, last_words

_LOOK_S: Final = 1.0
_SILENT_S: Final = 40.0
"""So long a cluster that was joined may refuse connections: less than the minute after which Ray ends its drivers."""
_ORDERLY_S: Final = 12.0
_HURRIED_S: Final = 5.0
"""What a job has for its end, and what it has without a GCS, for which Ray may wait where nothing can interrupt it."""
_OURS: Final = {"raylet": "the node's process (raylet)", "gcs_server": "the cluster's controller (GCS)"}
_LOST: list[str] = []
INTERRUPTED: Final = 130
"""The exit code of what a person has stopped."""


def lost() -> str | None:
    """Why the cluster that this process is connected to is of no use any more; None: it is."""
    return _LOST[-1] if _LOST else None


def forget() -> None:
    """Say that the process has left that cluster."""
    _LOST.clear()


@contextmanager
def watched(what: str, go_on: str, interrupt: Interrupt) -> Iterator[None]:
    """Watch the cluster that this process is connected to, for the duration of a `with` block.

    Args:
        what: runs on it, for the last line: "sweep night".
        go_on: what takes it up again, likewise.
        interrupt: asked to stop, with the reason, when it is gone: the block is to end. Where it does not, it is
            interrupted, and where that does not help, the process ends: with code 1, or 130 where a person had asked.
    """
    over = threading.Event()
    watch = _Watch(f"bissl-ray: {what} stopped", f"What was reported is saved; go on with {go_on}", interrupt, over)
    threading.Thread(target=watch.run, name=f"watch-{what}", daemon=True).start()
    try:
        yield
    finally:
        over.set()


class _Watch:
    def __init__(self, stopped: str, go_on: str, interrupt: Interrupt, over: threading.Event) -> None:
        self._stopped, self._go_on, self._interrupt, self._over = stopped, go_on, interrupt, over
        self._main = threading.main_thread() is threading.current_thread()
        self._node: Any = ray_worker._global_node
        self._gcs = None if self._node is None else str(self._node.gcs_address)
        self._silent = 0.0

    def run(self) -> None:
        """Look until the block is over."""
        while not self._over.wait(_LOOK_S):
            reason = self._gone()
            if reason is not None:
                self._end(f"{reason}{ray_log.pointer()}")
                return

    def _gone(self) -> str | None:
        """Why the cluster is of no use; None: it is."""
        if self._node is None:
            return None
        for kind, process in _dead(self._node).items():
            return f"{_OURS[kind]} has ended unexpectedly, with {_how(process.returncode)}"
        if not self._node.all_processes:  # somebody else's
            self._silent = 0.0 if self._answers() else self._silent + _LOOK_S
            if self._silent >= _SILENT_S:
                return f"the cluster at {self._gcs} has not answered for {_SILENT_S:.0f} s"
        return None

    def _answers(self) -> bool:
        assert self._gcs is not None
        with suppress(OSError):
            socket.create_connection(host_and_port(self._gcs), timeout=_LOOK_S).close()
            return True
        return False

    def _end(self, reason: str) -> None:
        asked = self._interrupt()
        _LOST.append(reason)
        ray_log.write(f"{reason}\n{last_words(self._node.get_logs_dir_path())}")
        if not asked:
            self._interrupt.ask(reason)
        if self._ends():
            return
        if self._main:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        if self._ends():
            return
        end_those_of_ours()
        line = f"{self._stopped}, as it was asked to" if asked else f"{self._stopped}: {reason}"
        with suppress(OSError, ValueError):
            outputs.give_terminal_back()  # which a picture has taken
            sys.stderr.write(f"{line}. {self._go_on}\n")
            sys.stderr.flush()
        os._exit(INTERRUPTED if asked else 1)

    def _ends(self) -> bool:
        """Wait for the block's end, as long as it can come."""
        waited, patience = 0.0, _ORDERLY_S
        while waited < patience and not self._over.wait(_LOOK_S):
            waited += _LOOK_S
            with_gcs = self._node.all_processes and "gcs_server" not in _dead(self._node)
            patience = _ORDERLY_S if with_gcs else _HURRIED_S
        return self._over.is_set()


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"


def disconnect() -> None:
    """Leave the cluster, without waiting for one that does not answer any more."""
    patience = _ORDERLY_S if lost() is None and not _dead(ray_worker._global_node) else _LOOK_S
    forget()
    leaving = threading.Thread(target=ray.shutdown, name="ray-shutdown", daemon=True)
    leaving.start()
    leaving.join(patience)
    if leaving.is_alive():
        atexit.unregister(ray_worker.shutdown)


def _dead(node: Any) -> dict[str, Any]:
    """Of a cluster of our own, the daemons that it can't do without and that have ended, by kind."""
    dead = () if node is None else node.dead_processes()
    return {kind: process for kind, process in dead if kind in _OURS}
