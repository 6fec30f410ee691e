"""Ctrl-C: the first stops cleanly, the second at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether the person has asked to stop."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.reason: str | None = None
        """Why the sweep itself asked to stop; None if a person did."""

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._asked.is_set()

    def ask(self, reason: str | None = None) -> None:
        """Ask to stop.

        Args:
            reason: in words, where it is not a person who asks.
        """
        self.reason = self.reason or reason
        self._asked.set()


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Catch SIGINT and SIGTERM for the duration of a `with` block.

    The first asks to stop; the second raises KeyboardInterrupt where the program is. Outside the main thread,
    where Python can't set handlers, nothing is caught.
    """
    interrupt = Interrupt()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if interrupt():
            raise KeyboardInterrupt
        interrupt.ask()

    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
