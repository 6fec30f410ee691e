"""Before Ray is imported: the settings that it reads from the environment, and whether and how a cluster can be joined.

`ray.init` tries for a minute and a half before it gives up, and then says little; so a child process tries first, and
is watched.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from typing import Final

from bissl_ray.errors import BadInputError
from bissl_ray.plugins import VARIABLE

LOOPBACK_ONLY: Final = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Set to "0", this makes Ray take 127.0.0.1 for an address like any other. Otherwise it replaces a loopback address
by the machine's outer one (ray._private.services.resolve_ip_for_localhost), where a cluster that listens
on the loopback interface alone does not answer."""

_ALWAYS: Final = {
    # Nothing is sent anywhere unless the user turns it on.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Our own handler saves state and prints how to resume; Tune's would swallow the first Ctrl-C.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Parquet is the one record; Tune's CSV, JSON and TensorBoard files are not wanted beside it.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Tune's own tables and banners; the live view is ours.
    "RAY_AIR_NEW_OUTPUT": "0",
    # Tune's own snapshots are never read again: resuming replays Parquet.
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_MAX_PENDING_TRIALS_PG": "1",
    # A trial's last message says that it is over and need not repeat the objective.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Train looks after its workers this often (seconds); its default of 2 s is long beside a short trial.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # Workers keep the working directory they started in.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

# The cluster is for this process alone, and so is its token; every Ray process listens on 127.0.0.1 only.
# (ray.init(_node_ip_address="127.0.0.1") does not do that, see `LOOPBACK_ONLY`: the daemons would
# listen on every interface.)
_LOCAL: Final = {
    "RAY_AUTH_MODE": "token",
    LOOPBACK_ONLY: "0",
    # Nobody takes this one machine away with a warning beforehand; the watcher is a process more for each Train run.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}

_PATIENCE_S: Final = 12.0
_LAST_PORT: Final = 65535
_TRY: Final = (
    "import sys, ray; "
    "ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False); print('READY', flush=True)"
)


def prepare(address: str | None) -> None:
    """Set what Ray reads at import and at start; what the user has set stays.

    Args:
        address: address of the cluster to attach to, None for a local cluster of our own.

    Raises:
        BadInputError: the cluster can't be joined.
    """
    for name, value in _ALWAYS.items():
        os.environ.setdefault(name, value)
    particular = _LOCAL if address is None else check_cluster(address)
    for name, value in particular.items():
        os.environ.setdefault(name, value)
    if "ray" in sys.modules and LOOPBACK_ONLY in particular:
        # Ray was imported before, by whoever called us, and has read the variable already.
        sys.modules["ray._private.ray_constants"].ENABLE_RAY_CLUSTER = False  # type: ignore[attr-defined]


def worker_environment() -> dict[str, str]:
    """What the cluster's processes need of the same, for a job's runtime environment."""
    return {name: os.environ[name] for name in (*_ALWAYS, VARIABLE) if name in os.environ}


def name_the_cluster() -> None:
    """Run by every process of a job as it starts: say which Ray is its own.

    Ray Train's placement-group cleaner asks the State API, which else finds the Ray that was started last on the
    machine, takes a controller that isn't there for dead, and takes its workers away.
    """
    import ray

    os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address


def check_cluster(address: str) -> dict[str, str]:
    """Make sure that a cluster answers at an address and takes our token.

    Args:
        address: "auto", "HOST:PORT" or "ray://HOST:PORT".

    Returns:
        Environment variables to set before Ray is imported, for this cluster.

    Raises:
        BadInputError: a malformed address, nothing there, no Ray there, or a token missing or wrong.
    """
    failures = []
    for environment in _ways(address):
        failure = _try(address, environment)
        if failure is None:
            return environment
        failures.append(failure)
    raise BadInputError(failures[0])


def _ways(address: str) -> list[dict[str, str]]:
    if address == "auto":
        return [{}, {LOOPBACK_ONLY: "0"}]
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= _LAST_PORT:
        raise BadInputError(
            f"--address {address}: expected 'auto' or HOST:PORT, such as 127.0.0.1:6379; "
            "`ray start --head` prints the cluster's own"
        )
    if (refused := _refused(host, int(port), timeout=3.0)) is not None:
        raise BadInputError(
            f"nothing answers at {address} ({refused.strerror or refused}): check that the cluster runs "
            "(`ray status` on its head node) and that its port is reachable from here"
        ) from refused
    if host in ("localhost", "127.0.0.1", "::1") and _refused(_outer_address(), int(port), timeout=1.0) is not None:
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
        if ended or time.monotonic() > deadline:
            return (
                f"no Ray cluster could be joined at {address} ({_gist(text, ended)}): check it with `ray status` "
                "on its head node, or leave --address and RAY_ADDRESS out to start one on this machine"
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
