"""Ends what a Ray of our own has left over when its driver has ended, be it by SIGKILL.

Run by its path, as a process of its own, with `main`'s arguments: so it imports of the standard library alone.
Ray's own means leave some: its daemons die with the driver, but the raylet's agents first tell a controller that is
gone of it, for a minute.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

MARK: Final = "BISSL_RAY_CLUSTER"
"""Variable that each has in its environment, with a value of its own for every cluster."""
GRACE_S: Final = 3.0
"""In which they may end by themselves: workers do within two seconds, once their raylet is gone."""
_LOOK_S: Final = 0.2
_LOOKS: Final = 2
"""So many times in a row none is found: at the moment in which one becomes another program, it has no environment."""
_GIVES_UP_S: Final = 60.0
_WRITES: Final = os.O_WRONLY | os.O_RDWR


def sessions(folder: str, driver: int) -> set[str]:
    """Those of Ray's sessions in a folder that a driver has begun, which may have been another one of its number."""
    return {str(path) for path in Path(folder).glob(f"session_*_{driver}")}


def processes(mark: str, of_sessions: Collection[str], driver: int) -> Iterator[int]:
    """Those of a cluster that run, each as it is found (Linux; elsewhere none is known).

    Args:
        mark: of their environment.
        of_sessions: folders in which they keep their logs: one that gives itself a name overwrites its environment.
        driver: has logs there as well, and is none of them.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        number = int(folder.name)
        if number != driver and (_is_marked(folder, mark) or _writes_in(folder, of_sessions)):
            yield number


def kill(number: int) -> None:
    """End a process at once."""
    with suppress(OSError):
        os.kill(number, signal.SIGKILL)


def _is_marked(process: Path, mark: str) -> bool:
    with suppress(OSError):
        return f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0")
    return False


def _writes_in(process: Path, folders: Collection[str]) -> bool:
    """Whether it has a file there open to write; who reads a log is somebody else."""
    if not folders:
        return False
    with suppress(OSError):
        for file in (process / "fd").iterdir():
            with suppress(OSError):
                where = str(file.readlink())
                if any(where.startswith(f"{folder}/") for folder in folders):
                    flags = (process / "fdinfo" / file.name).read_text("ascii").partition("flags:")[2].split()[0]
                    if int(flags, 8) & _WRITES:
                        return True
    return False


def main(mark: str, folder: str, driver: int, before: Collection[str]) -> None:
    """Wait for the driver's end, at which standard input ends, then for theirs, and end those that are left.

    Args:
        mark: of their environment.
        folder: Ray's, with its sessions.
        driver: the process.
        before: sessions that are not this driver's, though they bear its number.
    """
    # Its number too: a process that the driver forks would have the pipe's other end as well.
    while os.getppid() == driver and not select.select([sys.stdin], [], [], 1.0)[0]:
        pass
    ended, unseen = time.monotonic(), 0
    while unseen < _LOOKS:
        left = [*processes(mark, sessions(folder, driver).difference(before), driver)]
        unseen = 0 if left else unseen + 1
        late = time.monotonic() - ended
        if late > GRACE_S:
            for number in left:
                kill(number)
        if late > _GIVES_UP_S:
            return
        time.sleep(_LOOK_S)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])
