"""A terminal that is looked after: single keys, its size, Ctrl-Z; given back whatever happens."""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Final

from bissl_ray import outputs
from bissl_ray.leaderboard.live.screen import Screen

try:
    import termios
except ImportError:  # where there are none, as on Windows
    termios = None  # type: ignore[assignment]

_LOOK_S: Final = 0.25
_MOST_BYTES: Final = 64


class Keyboard:
    """Keys of a terminal one by one, without an echo; Ctrl-C and Ctrl-Z remain signals."""

    def __init__(self, file: int) -> None:
        """Nothing is changed yet.

        Args:
            file: descriptor of the terminal.
        """
        self._file = file
        self._before: list[Any] | None = None

    @classmethod
    def of_input(cls) -> "Keyboard | None":
        """That of standard input; None where it is no terminal."""
        with suppress(AttributeError, OSError, ValueError):  # closed, or replaced
            if termios is not None and sys.stdin.isatty():
                return cls(sys.stdin.fileno())
        return None

    @property
    def is_ours(self) -> bool:
        """Whether this process is the one that the terminal listens to: who is behind it is stopped for a change."""
        with suppress(OSError):
            return os.tcgetpgrp(self._file) == os.getpgrp()
        return False

    def take(self) -> None:
        """Have keys come one by one."""
        if self._before is not None or not self.is_ours:
            return
        with suppress(termios.error):
            before = termios.tcgetattr(self._file)
            changed = termios.tcgetattr(self._file)
            changed[3] &= ~(termios.ECHO | termios.ICANON)
            changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._file, termios.TCSADRAIN, changed)
            self._before = before
            outputs.at_the_end(self.give_back)

    def give_back(self) -> None:
        """Have the terminal as it was."""
        before, self._before = self._before, None
        if before is None:
            return
        outputs.not_at_the_end(self.give_back)
        if self.is_ours:
            with suppress(termios.error):
                termios.tcsetattr(self._file, termios.TCSADRAIN, before)

    def pressed(self, seconds: float) -> str:
        """The keys that come within so many seconds, if any; nothing while they are not taken."""
        if self._before is None or not self.is_ours:
            time.sleep(seconds)
            return ""
        try:
            if not select.select([self._file], [], [], seconds)[0]:
                return ""
            found = os.read(self._file, _MOST_BYTES)
        except (OSError, ValueError):
            found = b""
        if not found:  # nobody types there any more
            self.give_back()
            time.sleep(seconds)
        # Arrows and the like come as several characters, and mean nothing here.
        return "" if found.startswith(b"\x1b") else found.decode(errors="ignore")


class Attended:
    """A terminal that is looked after by a thread: keys, its size, and Ctrl-Z.

    Args:
        screen: of the view.
        keyboard: whose keys are read; None: there is none.
        on_key: takes each key.
        on_look: called several times a second.
    """

    def __init__(
        self,
        screen: Screen,
        keyboard: Keyboard | None,
        on_key: Callable[[str], None],
        on_look: Callable[[], None],
    ) -> None:
        self._screen, self._keyboard, self._on_key, self._on_look = screen, keyboard, on_key, on_look
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._stops: Any = None
        self._away = False

    def begin(self) -> None:
        """Take the terminal, unless this process is behind it."""
        if self._thread is not None:
            return
        self._take()
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGTSTP"):
            self._stops = signal.signal(signal.SIGTSTP, self._stopped)
        self._thread = threading.Thread(target=self._attend, name="terminal", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Give it back."""
        self._over.set()
        if self._stops is not None:
            signal.signal(signal.SIGTSTP, self._stops)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(2 * _LOOK_S)
        self._give_back()

    def _take(self) -> None:
        if self._keyboard is not None:
            if not self._keyboard.is_ours:
                return
            self._keyboard.take()
        self._screen.take()

    def _give_back(self) -> None:
        self._screen.give_back()
        if self._keyboard is not None:
            self._keyboard.give_back()

    def _attend(self) -> None:
        while not self._over.is_set():
            keys = self._keyboard.pressed(_LOOK_S) if self._keyboard is not None else self._over.wait(_LOOK_S) or ""
            if self._over.is_set():
                return
            if self._away:
                continue
            if not self._screen.taken:
                self._take()  # it was stopped, and is in front again
            for key in str(keys or ""):
                self._on_key(key)
            if self._screen.taken:
                self._on_look()

    def _stopped(self, number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: the terminal is the shell's until this process is in front again."""
        self._away = True
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Here it goes on, when it is continued.
        signal.signal(signal.SIGTSTP, self._stopped)
        self._away = False
