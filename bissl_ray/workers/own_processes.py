"""The processes of a Ray of our own: none of them outlives its job, however that or Ray's start has ended."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bissl_ray.workers import reaper

_REAPED_S: Final = 5.0
_LOGS: Final = ("gcs_server.err", "gcs_server.out", "raylet.err", "raylet.out")
_LAST_LINES: Final = 20


_RUNNING: "list[Started]" = []


class Started:
    """What was started under a mark: the daemons, and all that they start.

    Args:
        folder: where Ray keeps the files of the sessions that this process begins.
    """

    def __init__(self, folder: str) -> None:
        self._mark = secrets.token_hex(8)
        self._folder = os.path.realpath(folder)
        self._before = reaper.sessions(self._folder, os.getpid())
        self._reaper: subprocess.Popen[bytes] | None = None
        _RUNNING.append(self)

    @contextmanager
    def starting(self) -> Iterator[None]:
        """What starts inside this `with` block is marked, and what that starts in turn.

        It is ended within seconds of this process's end, whatever that was.
        """
        if self._reaper is None and Path("/proc/self").exists():
            asked = [self._mark, self._folder, str(os.getpid()), *self._before]
            self._reaper = subprocess.Popen(
                [sys.executable, "-I", "-S", reaper.__file__, *asked],  # without site-packages it starts at once
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # what a terminal sends to all of this one's group is not for it
            )
        os.environ[reaper.MARK] = self._mark
        try:
            yield
        finally:
            os.environ.pop(reaper.MARK, None)

    def end(self, grace: float = reaper.GRACE_S) -> None:
        """End what is left.

        Args:
            grace: seconds in which it may end by itself.
        """
        until = time.monotonic() + grace
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.05)
        for process in left:
            reaper.kill(process)
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._reaper.wait(_REAPED_S)
            self._reaper = None

    def processes(self) -> list[int]:
        """Those that run (Linux; elsewhere none is known)."""
        sessions = reaper.sessions(self._folder, os.getpid()) - self._before
        return [*reaper.processes(self._mark, sessions, os.getpid())]


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
