"""The processes that one has started, and whether they still run when it has ended."""

import time
from collections.abc import Mapping
from pathlib import Path


def below(pid: int) -> dict[int, str]:
    """All processes that a process has started, and those have: the command line of each.

    One that is just becoming another program, or has ended, has none: "".
    """
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text("utf-8", "replace")
        except OSError:
            continue
        parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, waiting = dict[int, str](), [pid]
    while waiting:
        for child in parents.get(waiting.pop(), ()):
            waiting.append(child)
            found[child] = _command(child)
    return found


def still_run(processes: Mapping[int, str], seconds: float) -> list[int]:
    """Those of `below` that run after so many seconds, as far as they had a command line; it returns when none does."""
    deadline = time.monotonic() + seconds
    while (
        left := [pid for pid, command in processes.items() if command and _command(pid) == command]
    ) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace").replace("\0", " ")
    except OSError:
        return ""
