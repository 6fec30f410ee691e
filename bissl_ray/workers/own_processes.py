"""The processes of a Ray of our own: none of them outlives its job, however that or Ray's start has ended."""

import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_MARK: Final = "BISSL_RAY_CLUSTER"
"""Variable that each has in its environment, with a value of its own for every cluster."""
_GRACE_S: Final = 3.0
_LOGS: Final = ("gcs_server.err", "gcs_server.out", "raylet.err", "raylet.out")
_LAST_LINES: Final = 20


_RUNNING: "list[Started]" = []


class Started:
    """What was started under a mark: the daemons, and all that they start."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)
        _RUNNING.append(self)

    @contextmanager
    def starting(self) -> Iterator[None]:
        """What starts inside this `with` block is marked, and what that starts in turn."""
        os.environ[_MARK] = self._mark
        try:
            yield
        finally:
            os.environ.pop(_MARK, None)

    def end(self, grace: float = _GRACE_S) -> None:
        """End what is left.

        Args:
            grace: seconds in which it may end by itself.
        """
        until = time.monotonic() + grace
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.05)
        for process in left:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)

    def processes(self) -> list[int]:
        """Those that run (Linux; elsewhere none is known)."""
        wanted, found = f"{_MARK}={self._mark}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if int(folder.name) != os.getpid() and wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found


def end_those_of_ours() -> None:
    """End all that this process has started so, at once: it is about to end."""
    for started in _RUNNING:
        started.end(grace=0)


def last_words(logs: str | Path) -> str:
    """How the daemons' own logs end; they lie in a folder of a session of Ray's."""
    said = []
    for name in _LOGS:
        with suppress(OSError):
            lines = (Path(logs) / name).read_text("utf-8", "replace").splitlines()
            said += [f"--- {name}", *lines[-_LAST_LINES:]] if lines else []
    return "\n".join(said)
