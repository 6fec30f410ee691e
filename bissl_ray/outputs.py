"""Standard output and standard error, apart from what libraries below print there by themselves.

Ray's core writes to the descriptors 1 and 2 and asks nobody. A command line that wants its terminal for itself lets
`sys.stdout` and `sys.stderr` write through descriptors of their own; 1 and 2 can then be turned elsewhere.
"""

import errno
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

_GIVEN_BACK: Final[list[Callable[[], None]]] = []
"""What gives back a terminal that a view has taken."""
_BOTH: Final = {"stdout": 1, "stderr": 2}


class _Own(io.FileIO):
    """A copy of a descriptor. What is written to a terminal that has gone goes nowhere."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            hush()
            return len(memoryview(data).cast("B"))


def separate() -> None:
    """Let Python's standard output and error write through descriptors of their own; once per process.

    Where somebody has put something else in their place (a test, a notebook), it stays.
    """
    for name, number in _BOTH.items():
        stream = getattr(sys, name)
        try:
            if stream is None or stream.fileno() != number or not isinstance(stream, io.TextIOWrapper):
                continue
            stream.flush()
            raw = _Own(os.dup(number), "w")
        except (OSError, ValueError):  # closed, or none of the system's
            continue
        unbuffered = isinstance(stream.buffer, io.RawIOBase)
        own = io.TextIOWrapper(
            raw if unbuffered else io.BufferedWriter(raw),
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
            write_through=unbuffered,
        )
        setattr(sys, name, own)


def are_separate() -> bool:
    """Whether both are as `separate` makes them."""
    return len(_own()) == len(_BOTH)


def numbers() -> tuple[int, ...]:
    """The descriptors that are read by whoever reads this process: those of `separate`, else 1 and 2."""
    own = _own()
    return tuple(own.get(name, number) for name, number in _BOTH.items())


@contextmanager
def libraries_into(file: int) -> Iterator[None]:
    """What anything below Python prints goes into an open file, for the duration of a `with` block.

    Args:
        file: its descriptor.
    """
    kept = {number: os.dup(number) for number in _BOTH.values()}
    try:
        for number in kept:
            os.dup2(file, number)
        yield
    finally:
        for number, before in kept.items():
            os.dup2(before, number)
            os.close(before)


def at_the_end(give_back: Callable[[], None]) -> None:
    """Have the terminal given back by this call if the process must end at once, where no `finally` is reached."""
    _GIVEN_BACK.append(give_back)


def not_at_the_end(give_back: Callable[[], None]) -> None:
    """It has been given back."""
    with suppress(ValueError):
        _GIVEN_BACK.remove(give_back)


def give_terminal_back() -> None:
    """Have it as it was, before this process ends at once."""
    for give_back in list(_GIVEN_BACK):
        give_back()


def hush(but_files: bool = False) -> None:
    """Send what is still written, now or when the interpreter ends, nowhere.

    Args:
        but_files: what goes into a file goes on.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in {*_BOTH.values(), *_own().values()}:
        with suppress(OSError):
            if not (but_files and stat.S_ISREG(os.fstat(number).st_mode)):
                os.dup2(nowhere, number)
    os.close(nowhere)


def _own() -> dict[str, int]:
    found = {}
    for name in _BOTH:
        # rich puts a stream of its own in their place while it draws.
        stream = getattr(sys, name)
        stream = getattr(stream, "rich_proxied_file", stream)
        buffer = getattr(stream, "buffer", None)
        raw = getattr(buffer, "raw", buffer)
        if isinstance(raw, _Own) and not raw.closed:
            found[name] = raw.fileno()
    return found
