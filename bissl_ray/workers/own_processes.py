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
        self._session: str | None = None
        _RUNNING.append(self)

    def lies_in(self, session: str) -> None:
        """Say in which folder the cluster keeps its files, which no other has."""
        self._session = session

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
        numbers = [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]
        return [
            number for number in numbers if number != os.getpid() and (self._is_marked(number) or self._logs(number))
        ]

    def _is_marked(self, number: int) -> bool:
        with suppress(OSError):
            return f"{_MARK}={self._mark}".encode() in Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
        return False

    def _logs(self, number: int) -> bool:
        """Whether a process has a file of the cluster open: one that gives itself a name overwrites its environment."""
        if self._session is None:
            return False
        with suppress(OSError):
            for file in Path(f"/proc/{number}/fd").iterdir():
                with suppress(OSError):
                    if str(file.readlink()).startswith(f"{self._session}/"):
                        return True
        return False


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
