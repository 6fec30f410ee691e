"""one_machine.sh for real: on loopback only, with a token, and gone when its process is ended."""

import contextlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bissl_ray.config.space_files import resource_dir

READY_S = 60.0
GONE_S = 20.0
JOIN = "import ray; ray.init(address={!r}, log_to_driver=False); print(len(ray.nodes()), 'node')"
LISTEN = "0A"  # state of a socket in /proc/net/tcp, Linux's proc_net_tcp.rst


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.ray
@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes and sockets in /proc")
def test_one_machine(short_folder: Path) -> None:
    home = short_folder / "home"
    home.mkdir()
    port, dashboard, client = free_ports(3)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    base = {
        **clean,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "RAY_TMPDIR": str(short_folder),
    }
    asked = {"PORT": str(port), "DASHBOARD_PORT": str(dashboard), "CLIENT_PORT": str(client), "NUM_CPUS": "1"}
    log = short_folder / "log"
    with log.open("w") as stream:
        cluster = subprocess.Popen(
            ["bash", str(resource_dir("launch") / "one_machine.sh")],
            env={**base, **asked},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + READY_S
        while "Ray runtime started" not in log.read_text():
            assert cluster.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        text = log.read_text()
        assert f"kill {cluster.pid}" in text  # the printed handle is the process to end
        # What it printed is what attaches.
        line = next(line for line in text.splitlines() if line.strip().startswith("export "))
        exported = dict(pair.split("=") for pair in line.split()[1:])

        token = home / ".ray" / "auth_token"
        assert stat.S_IMODE(token.stat().st_mode) == 0o600

        listening = listeners(session_members(cluster.pid))
        assert port in {number for _, number in listening}
        assert {ip for ip, _ in listening} == {"127.0.0.1"}

        address = f"127.0.0.1:{port}"
        joined = run([sys.executable, "-c", JOIN.format(address)], {**base, **exported})
        assert joined.returncode == 0 and "1 node" in joined.stdout, joined.stderr
        ask = [str(Path(sys.executable).parent / "ray"), "status", "--address", address]
        assert run(ask, {**base, **exported}).returncode == 0
        refused = run(ask, {**base, **exported, "RAY_AUTH_TOKEN": "0" * 64})
        assert refused.returncode != 0 and "AuthenticationError" in refused.stderr
    finally:
        family = session_members(cluster.pid)
        cluster.terminate()
        cluster.wait(timeout=60)
    deadline = time.monotonic() + GONE_S
    while left := {pid for pid in family if Path(f"/proc/{pid}").exists()}:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def session_members(session: int) -> set[int]:
    """Every process of a session, children that were adopted by another parent included."""
    members = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(int(folder.name)) == session:
                members.add(int(folder.name))
    return members


def listeners(processes: set[int]) -> set[tuple[str, int]]:
    """Address and port of every TCP socket that these processes listen on."""
    inodes = set()
    for pid in processes:
        with contextlib.suppress(FileNotFoundError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    inodes.add(str(descriptor.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == LISTEN and f"socket:[{fields[9]}]" in inodes:
                address, port = fields[1].split(":")
                # The last four bytes, in the machine's order: also of an IPv4 address written as IPv6.
                packed = int(address[-8:], 16).to_bytes(4, sys.byteorder)
                mapped = len(address) == 8 or address.startswith("0000000000000000FFFF0000")
                found.add((socket.inet_ntoa(packed) if mapped else address, int(port, 16)))
    return found
