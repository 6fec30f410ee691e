"""Ctrl-C, SIGTERM, and a terminal that is closed: the first stops cleanly, the second at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from bissl_ray import outputs

_CAUGHT: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
    """Catch SIGINT, SIGTERM and SIGHUP for the duration of a `with` block.

    The first asks to stop; the second raises KeyboardInterrupt where the program is. After SIGHUP nothing is printed,
    but into files: nobody would read it. Outside the main thread, where Python can't set handlers, nothing is caught.
    """
    interrupt = Interrupt()

    def asked(number: int) -> None:
        # A terminal that is closed says so twice where a shell passes it on, and nobody is in more of a hurry for it.
        if interrupt() and number != signal.SIGHUP:
            raise KeyboardInterrupt
        interrupt.ask()

    with _calling(asked, _CAUGHT):
        yield interrupt


@contextmanager
def at_once() -> Iterator[None]:
    """Inside this `with` block SIGTERM and SIGHUP end the program as Ctrl-C does, by KeyboardInterrupt."""

    def asked(_number: int) -> None:
        raise KeyboardInterrupt

    with _calling(asked, _CAUGHT[1:]):
        yield


@contextmanager
def _calling(asked: Callable[[int], None], caught: tuple[signal.Signals, ...]) -> Iterator[None]:
    def handle(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            outputs.hush(but_files=True)
        asked(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # `nohup` has it ignored, and means it.
    nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    numbers = [number for number in caught if not (nohup and number == signal.SIGHUP)]
    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
