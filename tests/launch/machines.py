"""Machines that are namespaces of this one, each with its own network, host name, processes and /tmp; root only.

They share the rest of the file system, as a lab's machines share home and scratch.
"""

import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_NET: Final = "10.77.0."
_BRIDGE: Final = "bissl0"
_OWN: Final = ("/tmp", "/dev/shm", "/run", "/var/tmp")
"""What no machine shares with another."""


class Machine:
    """One of them, for as long as its first process lives."""

    def __init__(self, number: int) -> None:
        self.name, self.address = f"bm{number}", f"{_NET}{number}"
        veth = f"bv{number}"
        _do(f"ip netns add {self.name}")
        _do(f"ip link add {veth} type veth peer name eth0 netns {self.name}")
        _do(f"ip link set {veth} master {_BRIDGE} up")
        for line in (f"addr add {self.address}/24 dev eth0", "link set eth0 up", "link set lo up"):
            _do(f"ip netns exec {self.name} ip {line}")
        own = " && ".join(f"mount -t tmpfs tmpfs {folder}" for folder in _OWN)
        self._outer = subprocess.Popen(
            [
                *("ip", "netns", "exec", self.name),
                *("unshare", "--uts", "--mount", "--pid", "--ipc", "--fork", "--mount-proc"),
                *("sh", "-c", f"hostname {self.name} && {own} && echo up && exec sleep infinity"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self._outer.stdout is not None
        assert self._outer.stdout.readline() == "up\n", "the system allows no such namespaces"
        self._first = int(Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()[0])

    def inside(self, command: Sequence[object]) -> list[str]:
        """The command line that runs a command there."""
        enter = ("nsenter", "--target", str(self._first), "--net", "--uts", "--mount", "--pid", "--ipc")
        return [*enter, *(str(word) for word in command)]

    def cut_off(self) -> None:
        """Its network goes away, and no connection is closed."""
        _do(f"ip netns exec {self.name} ip link set eth0 down")

    def end(self) -> None:
        """All that runs there is killed, and the machine is gone."""
        with suppress(ProcessLookupError):
            os.kill(self._first, 9)
        self._outer.wait()
        with suppress(OSError):
            _do(f"ip netns del {self.name}")


@contextmanager
def machines(count: int) -> Iterator[list[Machine]]:
    """So many machines, numbered from 1, on a network of their own.

    Raises:
        OSError: the system allows no such namespaces.
    """
    found: list[Machine] = []
    try:
        _do(f"ip link add {_BRIDGE} type bridge")
        _do(f"ip addr add {_NET}254/24 dev {_BRIDGE}")
        _do(f"ip link set {_BRIDGE} up")
        for number in range(1, count + 1):
            found.append(Machine(number))
        yield found
    finally:
        for machine in found:
            machine.end()
        with suppress(OSError):
            _do(f"ip link del {_BRIDGE}")


def until(ready: "subprocess.Popen[bytes] | None", command: Sequence[str], seconds: float = 90.0) -> None:
    """Wait until a command succeeds, as long as a process lives that is to make it so.

    Raises:
        AssertionError: it does not.
    """
    deadline = time.monotonic() + seconds
    while True:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        assert ready is None or ready.poll() is None, done
        assert time.monotonic() < deadline, done
        time.sleep(0.5)


def _do(line: str) -> None:
    done = subprocess.run(shlex.split(line), capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{line}: {done.stderr.strip()}")
