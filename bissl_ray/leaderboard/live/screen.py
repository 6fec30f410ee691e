"""The screen of its own that a view has while it is drawn; given back whatever happens."""

import io
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TextIO

from rich.console import Console, RenderableType

from bissl_ray import outputs

_TAKE: Final = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J"
_GIVE_BACK: Final = "\x1b[?25h\x1b[?1049l"


class Screen:
    """The alternate screen of a console, drawn over from its top in one piece: nothing is erased first, or flickers.

    What Python prints meanwhile on a stream that is this terminal goes to `said`, line by line.
    """

    def __init__(self, console: Console, said: Callable[[str], None]) -> None:
        """Nothing is taken yet."""
        self._console, self._said = console, said
        self._streams: dict[str, Any] = {}
        self._busy = threading.RLock()
        self.taken = False

    def take(self) -> None:
        """Show it in the place of what the terminal has."""
        with self._busy:
            if self.taken:
                return
            self.taken = True
            self._write(_TAKE)
            outputs.at_the_end(self.give_back)
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if stream is self._console.file or stream.isatty():
                    self._streams[name] = stream
                    setattr(sys, name, _Lines(stream, self._said))

    def give_back(self) -> None:
        """Show what was there before."""
        with self._busy:
            if not self.taken:
                return
            self.taken = False
            outputs.not_at_the_end(self.give_back)
            for name, stream in self._streams.items():
                if isinstance(getattr(sys, name), _Lines):
                    setattr(sys, name, stream)
            self._streams.clear()
            self._write(_GIVE_BACK)

    def draw(self, picture: RenderableType) -> None:
        """Draw a picture of as many lines as the screen has, or fewer; nothing where it is not taken."""
        with self._console.capture() as drawn:
            self._console.print(picture, end="")
        lines = drawn.get().rstrip("\n").split("\n")[: self._console.height]
        with self._busy:
            if self.taken:  # Ctrl-Z may have come meanwhile
                self._write("\x1b[H" + "\x1b[K\r\n".join(lines) + "\x1b[K\x1b[J")

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError, RuntimeError):  # it has gone; or Ctrl-Z came in the middle of another
            self._console.file.write(text)
            self._console.file.flush()


class _Lines(io.TextIOBase):
    """A stream whose lines are handed to somebody; `rich_proxied_file` is what it stands for."""

    def __init__(self, stream: TextIO, said: Callable[[str], None]) -> None:
        self.rich_proxied_file = stream
        self._said, self._begun = said, ""

    def write(self, text: str) -> int:
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._said(line)
        return len(text)

    def isatty(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.rich_proxied_file.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self.rich_proxied_file.errors

    def fileno(self) -> int:
        return self.rich_proxied_file.fileno()
