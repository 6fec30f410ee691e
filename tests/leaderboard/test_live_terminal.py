"""The screen and the keys of the live view, in a process of its own with a terminal of its own."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = """
import sys, time
from bissl_ray.cli.terminal import Terminal
from bissl_ray.leaderboard import LiveBoard
from bissl_ray.progress import Note, SweepProgress

with LiveBoard(Terminal(), "bissl-ray sweep night") as board:
    board.show(SweepProgress("exploring", 20, 3, running=2))
    board.show(Note("a note that stays"))
    print("printed by somebody")
    until = time.monotonic() + 30
    while not board.wishes.stop and time.monotonic() < until:
        time.sleep(0.05)
        if HOW == "fails" and board.wishes.hold:
            raise RuntimeError("as planned")
print("ended")
"""
JOB = '"$0" -c "$1"; code=$?; if [ $code = 148 ]; then sleep 1; fg; else exit $code; fi'
"""By a shell that sees to jobs: a process without one can't be stopped by Ctrl-Z."""
LEFT = b"\x1b[?1049l"


def _controlled() -> None:
    """Be controlled by the terminal, and hear Ctrl-C, which a shell in the background has its children not hear."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class InATerminal:
    """A process at a pseudo-terminal, which is its controlling one."""

    def __init__(self, how: str, width: int = 80, height: int = 24) -> None:
        self.ours, self.theirs = os.openpty()
        self.size(width, height)
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            ["bash", "-mc", JOB, sys.executable, SCRIPT.replace("HOW", repr(how))],
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            env={**environment, "TERM": "xterm"},
            cwd=Path(__file__).parents[2],
            start_new_session=True,
            preexec_fn=_controlled,
        )
        self.written = b""

    def size(self, width: int, height: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    @property
    def is_cooked(self) -> bool:
        flags = termios.tcgetattr(self.theirs)[3]
        return bool(flags & termios.ICANON and flags & termios.ECHO)

    def press(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def until(self, holds: Callable[[], bool]) -> None:
        limit = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < limit, self.written.decode(errors="replace")
            if select.select([self.ours], [], [], 0.05)[0]:
                self.written += os.read(self.ours, 65536)

    def shows(self, text: str) -> None:
        """Wait until something is drawn that was not before; then forget what was drawn."""
        self.until(lambda: text.encode() in self.written)
        self.written = b""

    def end(self) -> int:
        self.until(lambda: self.process.poll() is not None)
        return self.process.wait()


@contextmanager
def at_a_terminal(how: str = "") -> Iterator[InATerminal]:
    there = InATerminal(how)
    try:
        yield there
    finally:
        there.process.kill()
        there.process.wait()
        os.close(there.ours)
        os.close(there.theirs)


@pytest.mark.slow
def test_keys_resizing_and_the_terminal_given_back():
    with at_a_terminal() as there:
        there.shows("s stop after those that run")
        assert not there.is_cooked
        there.press(b"p")
        there.shows("paused: no new trial begins, 2 running go on to the end; p goes on")
        there.press(b"po")
        there.shows("o sort: gain")
        there.press(b"?")
        there.shows("sort by score, by gain over plain fine-tuning")
        there.press(b"?\x1b[Aq")
        there.size(50, 10)
        there.shows("\x1b[K\x1b[J")
        there.press(b"s")
        there.until(lambda: b"ended" in there.written)
        after = there.written.rpartition(LEFT)[2]
        assert there.end() == 0 and there.is_cooked
        assert after.count(b"a note that stays") == after.count(b"printed by somebody") == 1


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fails", "interrupted"])
def test_an_exception_and_ctrl_c_give_the_terminal_back(how):
    with at_a_terminal(how) as there:
        there.shows("p pause")
        there.press(b"p" if how == "fails" else b"\x03")
        assert there.end() != 0 and there.is_cooked
        there.until(lambda: LEFT in there.written)
        assert (b"as planned" if how == "fails" else b"KeyboardInterrupt") in there.written


@pytest.mark.slow
def test_ctrl_z_gives_it_back_until_the_process_is_in_front_again():
    with at_a_terminal() as there:
        there.shows("p pause")
        there.press(b"\x1a")
        there.until(lambda: LEFT in there.written and there.is_cooked)
        there.written = b""
        there.shows("p pause")  # a second later the shell has it go on
        assert not there.is_cooked
        there.press(b"s")
        assert there.end() == 0 and there.is_cooked
