"""What the cache of decoded images says while it is filled, and to whom."""

import sys
import time
from functools import cache
from typing import Final, Protocol

_PAUSE_S: Final = 0.25


class CacheNews(Protocol):
    """Hears of a cache that is being filled, by this process or by another of this node."""

    def decoded(self, done: int, total: int) -> None:
        """Take in how many images are decoded, of how many; called often. May raise, which ends the filling."""

    def note(self, line: str) -> None:
        """Take in what a person should know."""


def decoding_words(done: int, total: int) -> str:
    """How far the filling is, for a line."""
    return f"decoding {done:,} of {total:,} images (once per machine)"


class OnStderr:
    """Says it on standard error: how far it is at a terminal only, and each line once per process."""

    def __init__(self) -> None:
        self._next = 0.0

    def decoded(self, done: int, total: int) -> None:
        """Rewrite one line a few times a second; it is gone at the end."""
        now = time.monotonic()
        if not sys.stderr.isatty() or (now < self._next and done < total):
            return
        self._next = now + _PAUSE_S
        sys.stderr.write("\r\x1b[K" if done == total else f"\r\x1b[Kbissl-ray: {decoding_words(done, total)}")
        sys.stderr.flush()

    def note(self, line: str) -> None:
        """Write it, unless it was written before."""
        _say_once(line)


class Unheard:
    """Nobody: of the workers of a trial, one says it for all."""

    def decoded(self, done: int, total: int) -> None:
        """Nothing."""

    def note(self, line: str) -> None:
        """Nothing."""


@cache
def _say_once(line: str) -> None:
    sys.stderr.write(f"bissl-ray: {line}\n")
    sys.stderr.flush()
