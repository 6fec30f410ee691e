"""A cluster that runs already, started once, by the test that first needs it."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.command import environment

_HEAD = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # At its end it waits for actors that outlive their jobs, as one of Ray Train's does: by default half a minute.
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "1",
}


class RunningCluster(NamedTuple):
    """A Ray cluster on 127.0.0.1, started separately with `ray start --head`."""

    address: str
    token: dict[str, str]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster"), cpus=2) as running:
        yield running


@contextmanager
def running_cluster(logs: Path, cpus: int) -> Iterator[RunningCluster]:
    """Start a cluster; end it with the context."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    # A short path: Ray's sockets lie in it, and a socket's path has at most 107 bytes.
    folder = Path("/tmp") / f"bissl-{os.getpid()}-{cpus}"
    log = logs / "log"
    command = [
        *(str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"),
        *("--node-ip-address=127.0.0.1", f"--port={port}", f"--num-cpus={cpus}", f"--temp-dir={folder}"),
        *("--dashboard-host=127.0.0.1", "--dashboard-port=0"),
    ]
    with log.open("w") as said:
        head = subprocess.Popen(
            command,
            env=environment(**token, **_HEAD),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 60
        while "block forever" not in log.read_text():
            assert head.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield RunningCluster(f"127.0.0.1:{port}", token)
    finally:
        head.send_signal(signal.SIGTERM)
        head.wait(timeout=60)
        subprocess.run(["rm", "-rf", str(folder)], check=False)
