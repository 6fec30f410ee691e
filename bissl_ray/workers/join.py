"""Whether and how a running cluster can be joined, found out before Ray is imported here.

`ray.init` tries for a minute and a half before it gives up, and then says little; so a child process tries first, and
is watched.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from typing import Final

from bissl_ray.errors import BadInputError
from bissl_ray.workers.address import chosen_address, host_and_port
from bissl_ray.workers.versions import other_versions

LOOPBACK_ONLY: Final = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Set to "0", this makes Ray take 127.0.0.1 for an address like any other. Otherwise it replaces a loopback address
by the machine's outer one (ray._private.services.resolve_ip_for_localhost), where a cluster that listens
on the loopback interface alone does not answer."""

_PATIENCE_S: Final = 12.0
_VERSIONS: Final = re.compile(
    r"Version mismatch: .*?Ray: (?P<ray>\S+)\s+Python: (?P<python>\S+)"
    r".*?Ray: (?P<own_ray>\S+)\s+Python: (?P<own_python>\S+)\s",
    re.S,
)
"""What Ray says of a cluster that it can't join, once all of it is there."""
_TRY: Final = """
import sys, platform, ray
try:
    from ray._common.usage.usage_lib import get_cluster_metadata
    from ray._raylet import GcsClient
    there = get_cluster_metadata(GcsClient(address=sys.argv[1]))
    here = ray.__version__, platform.python_version()
    print("SIDES", there["ray_version"], there["python_version"], *here, flush=True)
except Exception:
    pass
ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False)
print('READY', flush=True)
"""
_SIDES: Final = re.compile(r"^SIDES (?P<ray>\S+) (?P<python>\S+) (?P<own_ray>\S+) (?P<own_python>\S+)$", re.M)
"""What the cluster's controller keeps: an older Ray than the cluster's waits for other things, in vain, before it would
compare the versions itself."""


def check_cluster(address: str) -> dict[str, str]:
    """Make sure that a cluster answers at an address and takes our token.

    Args:
        address: as `chosen_address` gives it.

    Returns:
        Environment variables to set before Ray is imported, for this cluster.

    Raises:
        BadInputError: nothing there, no Ray there, or a token missing or wrong.
    """
    failures = []
    for environment in _ways(address):
        failure = _try(address, environment)
        if failure is None:
            return environment
        failures.append(failure)
    raise BadInputError(failures[0])


def check_address(asked: str | None) -> str | None:
    """As `chosen_address`, and a cluster to join answers there (raises BadInputError)."""
    address = chosen_address(asked)
    if address is not None:
        check_cluster(address)
    return address


def _ways(address: str) -> list[dict[str, str]]:
    if address == "auto":
        return [{}, {LOOPBACK_ONLY: "0"}]
    host, port = host_and_port(address)
    if (refused := _refused(host, port, timeout=3.0)) is not None:
        raise BadInputError(
            f"nothing answers at {address} ({refused.strerror or refused}): check that the cluster runs "
            "(`ray status` on its head node) and that its port is reachable from here"
        ) from refused
    if host in ("localhost", "127.0.0.1", "::1") and _refused(_outer_address(), port, timeout=1.0) is not None:
        return [{LOOPBACK_ONLY: "0"}]
    return [{}]


def _try(address: str, environment: dict[str, str]) -> str | None:
    """Connect in a child process; None if that worked, else what to tell the person."""
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(
            [sys.executable, "-c", _TRY, address],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        try:
            return _watch(child, said.fileno(), address)
        finally:
            child.kill()
            child.wait()


def _watch(child: "subprocess.Popen[bytes]", said: int, address: str) -> str | None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        ended = child.poll() is not None
        text = os.pread(said, 2**20, 0).decode(errors="replace")
        if "READY" in text:
            return None
        if "InvalidAuthToken" in text or "AuthenticationError" in text:
            return (
                f"the cluster at {address} wants its authentication token, and the one here is missing or another: "
                "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) to the cluster's own, "
                "which its head node keeps in ~/.ray/auth_token"
            )
        if (both := _VERSIONS.search(text)) is not None:
            return other_versions(address, **both.groupdict())
        sides = _SIDES.search(text)
        if sides is not None and sides["ray"] != sides["own_ray"]:
            return other_versions(address, **sides.groupdict())
        if ended or time.monotonic() > deadline:
            return (
                f"no Ray cluster could be joined at {address} ({_gist(text, ended)}): check it with `ray status` "
                "on its head node, or give --address local to start one on this machine"
            )
        time.sleep(0.05)


def _gist(text: str, ended: bool) -> str:
    if not ended:
        return f"no answer within {_PATIENCE_S:.0f} s"
    errors = [line for line in text.splitlines() if "Error" in line]
    return errors[-1].strip()[:200].rstrip(".") if errors else "it ended without a word"


def _refused(host: str, port: int, timeout: float) -> OSError | None:
    """Why nothing answers at a port; None where something does."""
    try:
        socket.create_connection((host, port), timeout).close()
    except OSError as error:
        return error
    return None


def _outer_address() -> str:
    """This machine's address on its route outwards, as Ray finds it; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
