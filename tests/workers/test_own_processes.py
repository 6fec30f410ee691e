"""What a cluster of our own has started is ended, whoever's child it has become and whatever ends its driver."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from bissl_ray.workers.own_processes import Started, last_words

ORPHAN = """
import subprocess, sys
print(subprocess.Popen(["sleep", "1000"], start_new_session=True, stdout=subprocess.DEVNULL).pid)
"""
DRIVER = """
import os, subprocess, sys, time
from pathlib import Path
from bissl_ray.workers.own_processes import Started
folder = Path(sys.argv[1])
of_before, session = (folder / f"session_2026-11-{day}_12-00-00_000000_{os.getpid()}" for day in (29, 30))
of_before.mkdir()
started = Started(str(folder))
session.mkdir()
sleep = lambda **how: subprocess.Popen(["sleep", "1000"], start_new_session=True, **how)
with (
    started.starting(),
    open(of_before / "raylet.out", "w") as before,
    open(session / "raylet.out", "w") as log,
    open(session / "raylet.out") as read,
):
    marked = sleep()
    renamed = sleep(env={}, stdout=log)
    reader = sleep(env={}, stdin=read)
    stranger = sleep(env={}, stdout=before)
print(os.getpid(), started._reaper.pid, marked.pid, renamed.pid, reader.pid, stranger.pid, flush=True)
os.fork()  # without exec the child has all files of its parent, the pipe to the reaper among them
time.sleep(1000)
"""
"""Starts what a Ray may: a process that is marked, one that has overwritten its environment; and others beside them."""


def runs(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def with_argument(argument: object) -> list[int]:
    """Processes of which it is an argument."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(argument).encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def wait_for_the_end(numbers: Iterable[int], seconds: float) -> list[int]:
    """Those that still run after so many seconds."""
    until = time.monotonic() + seconds
    while (left := [number for number in numbers if runs(number)]) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def test_what_was_started_is_ended_and_nothing_else(tmp_path: Path) -> None:
    started, other = Started(str(tmp_path)), subprocess.Popen(["sleep", "1000"])
    try:
        with started.starting():
            child = subprocess.Popen(["sleep", "1000"])
            orphan = int(subprocess.check_output([sys.executable, "-c", ORPHAN]))
        later = subprocess.Popen(["sleep", "1000"])
        # For a moment, what has just become another program has no environment.
        wait_until(lambda: set(started.processes()) == {child.pid, orphan})
        started.end(grace=0)
        assert child.wait(timeout=10) == -9
        wait_until(lambda: started.processes() == [])
        assert other.poll() is None and later.poll() is None
    finally:
        for process in (other, child, later):
            process.kill()
            process.wait()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM], ids=lambda end: end.name)
def test_what_a_driver_has_left_is_ended_however_it_ended(tmp_path: Path, end: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as driver:
        assert driver.stdout is not None
        number, reaper, marked, renamed, reader, stranger = map(int, driver.stdout.readline().split())
        try:
            assert os.getsid(reaper) == reaper, "what a terminal sends to the driver's group reaches it"
            assert wait_for_the_end([reaper, marked, renamed], 1.5) == [reaper, marked, renamed]
            os.kill(number, end)
            assert wait_for_the_end([reaper, marked, renamed], 15) == []
            assert runs(reader) and runs(stranger)
        finally:
            for left in (marked, renamed, reader, stranger):
                if runs(left):
                    os.kill(left, signal.SIGKILL)
            os.killpg(number, signal.SIGKILL)


def test_the_reaper_ends_with_what_it_is_there_for_and_leaves_the_driver(tmp_path: Path) -> None:
    started = Started(str(tmp_path))
    session = tmp_path / f"session_2026-11-30_12-00-00_000000_{os.getpid()}"
    session.mkdir()
    with started.starting(), (session / "driver.log").open("w"):
        wait_until(lambda: len(with_argument(tmp_path)) == 1)
        started.end()
        wait_until(lambda: with_argument(tmp_path) == [])
        started.end()  # as a job does that is ended twice


def test_last_words_are_the_ends_of_the_daemons_logs(tmp_path: Path) -> None:
    (tmp_path / "raylet.err").write_text("".join(f"line {n}\n" for n in range(100)))
    (tmp_path / "gcs_server.out").write_text("")
    said = last_words(tmp_path).splitlines()
    assert said[0] == "--- raylet.err" and said[-1] == "line 99" and len(said) == 21
