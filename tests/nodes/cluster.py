"""A Ray cluster of several nodes on 127.0.0.1, whose nodes are lost, added and drained. In a process of its own."""

import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from tests.cli.command import environment
from tests.process_tree import below

SETTINGS: Final = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else Ray's daemons listen on the machine's outer address
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "1",
    "OMP_NUM_THREADS": "1",
}
"""What Ray reads as it is imported; its nodes and the driver have it too."""
ROLES: Final = {
    "worker": ("ray::RayTrainWorker", "ray::_RayTrainWorker__execute"),
    "owner": ("ray::TrialRunner", "ray::ImplicitFunc"),
    "mailbox": ("ray::Mailbox",),
    "message line": ("ray::_Messages",),
    "controller": ("ray::TrainController",),
}
"""What a node may hold of a sweep, by how the command line of its process begins."""


_APART: Final = """
import sys, time
from ray._private.node import Node
from ray._private.parameter import RayParams
there = {"gcs_address": sys.argv[1], "redis_address": sys.argv[1], "node_ip_address": "127.0.0.1"}
ports = {"min_worker_port": 0, "max_worker_port": 0, "node_manager_port": 0}
has = {"num_cpus": int(sys.argv[2]), "num_gpus": 0, "object_store_memory": 150 * 2**20, "include_log_monitor": False}
Node(RayParams(**there, **ports, **has), head=False, shutdown_at_exit=False, spawn_reaper=False)
time.sleep(3600)
"""
"""As `Cluster.add_node` does, for `ray start` takes no cluster on 127.0.0.1."""


class Nodes:
    """A head and further nodes; each is known by its raylet, and what that has started lies on it."""

    def __init__(self, head_cpus: int, head_memory: int | None = None) -> None:
        from ray.cluster_utils import Cluster

        self._apart: list[subprocess.Popen[bytes]] = []
        self._folder = tempfile.mkdtemp(prefix="bn-")  # short: Ray's sockets lie in it
        memory = {} if head_memory is None else {"memory": head_memory}
        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": head_cpus,
                "node_ip_address": "127.0.0.1",
                "include_dashboard": True,
                "dashboard_host": "127.0.0.1",
                "dashboard_port": 0,
                "temp_dir": self._folder,
                **memory,
            },
        )

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    @property
    def head(self) -> Any:
        return self._cluster.head_node

    @property
    def others(self) -> list[Any]:
        return list(self._cluster.worker_nodes)

    def add(self, cpus: int = 1) -> Any:
        """Another node joins, once all that were lost are known to be: their room is counted until then."""
        deadline = time.monotonic() + 60
        while len(self._cluster.global_state._live_node_ids()) > 1 + len(self.others) and time.monotonic() < deadline:
            time.sleep(0.2)
        return self._cluster.add_node(num_cpus=cpus, node_ip_address="127.0.0.1")

    def add_apart(self, *hidden: Path, cpus: int = 1) -> "subprocess.Popen[bytes]":
        """A node in a mount namespace of its own, where some folders are empty: as on another machine.

        Raises:
            OSError: the system allows no such namespace.
        """
        mounts = " && ".join(f"mount -t tmpfs tmpfs {shlex.quote(str(folder))}" for folder in hidden)
        join = shlex.join([sys.executable, "-c", _APART, self.address, str(cpus)])
        return self._joined(["unshare", "--mount", "sh", "-c", f"{mounts} && exec {join}"], dict(os.environ))

    def add_lacking(self, *packages: str, cpus: int = 1) -> "subprocess.Popen[bytes]":
        """A node whose Python is a virtual environment with all that this one has but some packages, and this one."""
        lacks = {each.replace("-", "_") for each in ("bissl-ray", *packages)}
        folder = Path(self._folder, f"lacking{len(self._apart)}")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        (own,) = folder.glob("lib/python*/site-packages")
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            name = entry.name.partition("-")[0]
            if name not in lacks and not entry.name.startswith(("_editable_", "__editable__")):
                (own / entry.name).symlink_to(entry)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return self._joined([str(folder / "bin/python"), "-c", _APART, self.address, str(cpus)], environment)

    def _joined(self, command: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        """What a command starts, once it is a node of the cluster."""
        before = len(self._cluster.global_state._live_node_ids())
        log = Path(self._folder, f"apart{len(self._apart)}.log")
        with log.open("wb") as said:
            started = subprocess.Popen(
                command,
                cwd=self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self._apart.append(started)
        deadline = time.monotonic() + 60
        while len(self._cluster.global_state._live_node_ids()) == before:
            if started.poll() is not None or time.monotonic() > deadline:
                raise OSError(log.read_text()[-500:])
            time.sleep(0.2)
        return started

    def holding(self, role: str) -> list[Any]:
        """The nodes, the head among them, that hold a role at the moment."""
        return [node for node in (self.head, *self.others) if self.processes(node, role)]

    def processes(self, node: Any, role: str | None = None) -> list[int]:
        """What runs on a node, its raylet first; or of that, what has a role."""
        raylet = node.all_processes["raylet"][0].process.pid
        commands = {raylet: "", **below(raylet)}
        return [pid for pid, command in commands.items() if role is None or command.startswith(ROLES[role])]

    def lose(self, node: Any) -> None:
        """As a machine that is lost: all that runs on it ends at once, with no word."""
        for pid in self.processes(node):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._cluster.remove_node(node, allow_graceful=False)

    def lose_controller(self) -> None:
        """As a head that restarts: its controller (GCS) is gone, and without Redis all that it knew."""
        self.head.kill_gcs_server(check_alive=False)

    def start_controller(self) -> None:
        """The controller is back at its address, and with Redis knows what it knew."""
        self.head.start_gcs_server()

    def drain(self, node: Any, seconds: float) -> str:
        """As the warning of a spot machine that it will be taken away; what Ray said of it."""
        ray = Path(sys.executable).with_name("ray")
        asked = ["--node-id", node.node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION"]
        why = ["--reason-message", "spot", "--deadline-remaining-seconds", str(int(seconds))]
        done = subprocess.run(
            [str(ray), "drain-node", "--address", self.address, *asked, *why],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return f"{done.returncode} {done.stdout[-300:]} {done.stderr[-300:]}"

    def end(self) -> None:
        for each in self._apart:
            for pid in [each.pid, *below(each.pid)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            each.wait()
        everything = [pid for node in (*self.others, self.head) if node for pid in self.processes(node)]
        for node in self.others:
            self._cluster.remove_node(node, allow_graceful=False)
        if self.head is not None:
            self._cluster.remove_node(self.head, allow_graceful=False)
        for pid in everything:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        subprocess.run(["rm", "-rf", self._folder], check=False)


@contextmanager
def nodes(head_cpus: int, *cpus: int, head_memory: int | None = None, redis: str | None = None) -> Iterator[Nodes]:
    """A cluster of a head and others; Ray is imported here, and must not have been before.

    Args:
        head_cpus: of the head.
        cpus: of each other.
        head_memory: bytes that the head says it has; None: what there is.
        redis: HOST:PORT of one in which the head's controller keeps what it knows; None: it has none.
    """
    os.environ.update(SETTINGS)
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # which Ray reads once
    with patch.dict(os.environ, {} if redis is None else {"RAY_REDIS_ADDRESS": redis}):
        running = Nodes(head_cpus, head_memory)
    try:
        for count in cpus:
            running.add(count)
        yield running
    finally:
        running.end()


@contextmanager
def redis_server() -> Iterator[str]:
    """A Redis on 127.0.0.1 that keeps what it is told in memory, for the duration of a `with` block; its address.

    Raises:
        FileNotFoundError: no redis-server is installed (Debian: redis-server).
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asked = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no")
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            ["redis-server", *asked], cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait()


def by_itself(script: str, folder: Path) -> str:
    """Run a script in a process of its own, which a cluster's nodes belong to; what it printed last, "" for nothing."""
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=Path(__file__).parents[2],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.strip().rpartition("\n")[2]
