"""Whom the cache of decoded images tells how far its filling is, where nobody else listens: standard error."""

import os
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Final

from bissl_ray.progress import Decoding, Note

_PAUSE_S: Final = 0.25

Tell = Callable[[Decoding | Note], None]
"""Hears how far the filling is, by this process or another; called often. May raise, which ends the filling."""


class OnStderr:
    """Says it on standard error: how far it is at a terminal only, and each line once per process."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, event: Decoding | Note) -> None:
        """Rewrite one line a few times a second, gone at the end; or write a line, unless it was written before."""
        if isinstance(event, Note):
            _say_once(event.line)
            return
        now = time.monotonic()
        if not _redraws() or (now < self._next and event.done < event.total):
            return
        self._next = now + _PAUSE_S
        sys.stderr.write("\r\x1b[K" if event.done == event.total else f"\r\x1b[Kbissl-ray: {event.words}")
        sys.stderr.flush()


def _redraws() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@cache
def _say_once(line: str) -> None:
    sys.stderr.write(f"bissl-ray: {line}\n")
    sys.stderr.flush()
