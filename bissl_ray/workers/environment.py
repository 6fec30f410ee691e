"""The settings that Ray reads from the environment, to be made before it is imported."""

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Final

from bissl_ray.plugins import VARIABLE
from bissl_ray.workers.join import LOOPBACK_ONLY, check_cluster
from bissl_ray.workers.own_ray import off_the_proxies, own_token, room_for_files
from bissl_ray.workers.versions import check_installed

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
    # Groups start one after another, so that trials begin in the order in which they were proposed (docs/scale.md).
    "TUNE_MAX_PENDING_TRIALS_PG": "1",
    # A trial's last message says that it is over and need not repeat the objective.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Train looks after its workers this often (seconds); its default of 2 s is long beside a short trial.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # What became of a trial is said in a line of ours; Tune would print its traceback beside the live view.
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    # Workers keep the working directory they started in.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # A job that was submitted may have an environment of its own; both are joined (`workers.shipped`).
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",
}

_SIOCGIFADDR: Final = 0x8915

# The cluster is for this process alone, and so is its token; every Ray process listens on 127.0.0.1 only.
# (ray.init(_node_ip_address="127.0.0.1") does not do that, see `LOOPBACK_ONLY`: the daemons would
# listen on every interface.)
_LOCAL: Final = {
    "RAY_AUTH_MODE": "token",
    LOOPBACK_ONLY: "0",
    # Nobody takes this one machine away with a warning beforehand; the watcher is a process more for each Train run.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}


def prepare(address: str | None) -> None:
    """Set what Ray reads at import and at start; what the user has set stays.

    Args:
        address: address of the cluster to attach to, None for a local cluster of our own.

    Raises:
        BadInputError: the cluster can't be joined, or what is installed here is too old.
    """
    check_installed()
    if address is None:
        own_token(os.environ)
        off_the_proxies(os.environ)
        room_for_files()
    _be_someone()
    for name, value in _ALWAYS.items():
        os.environ.setdefault(name, value)
    particular = _LOCAL if address is None else check_cluster(address)
    for name, value in particular.items():
        os.environ.setdefault(name, value)
    if "ray" in sys.modules and LOOPBACK_ONLY in particular:
        # Ray was imported before, by whoever called us, and has read the variable already.
        sys.modules["ray._private.ray_constants"].ENABLE_RAY_CLUSTER = False  # type: ignore[attr-defined]


def _be_someone() -> None:
    """Give a user that the system doesn't know, as of a container, a home and a name: Ray and torch ask for them."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/nonexistent"
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = str(os.getuid())


def worker_environment() -> dict[str, str]:
    """What the cluster's processes need of the same, for a job's runtime environment."""
    return {name: os.environ[name] for name in (*_ALWAYS, VARIABLE) if name in os.environ}


def name_the_cluster() -> None:
    """Run by every process of a job as it starts: say which Ray is its own, and by which network card gloo talks.

    Ray Train's placement-group cleaner asks the State API, which else finds the Ray that was started last on the
    machine, takes a controller that isn't there for dead, and takes its workers away.

    Gloo listens at the address that the machine's own name stands for. That is 127.0.1.1 in many a Debian's
    /etc/hosts, and 127.0.0.1 where the name stands for nothing: no other machine finds it there.
    """
    import ray

    os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
    card = _card_of(ray.util.get_node_ip_address())
    if card is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", card)


def _card_of(address: str) -> str | None:
    """The network card that has an IPv4 address; None: none has, or that can't be told here (Linux only)."""
    import fcntl
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # it has none
                found = fcntl.ioctl(any_socket, _SIOCGIFADDR, name.encode().ljust(256, b"\0"))
                if socket.inet_ntoa(found[20:24]) == address:
                    return name
    return None


@contextmanager
def as_code(module: ModuleType) -> Iterator[None]:
    """Within this `with` block functions of a module go to Ray's processes as code, and not by name.

    A machine that lacks this package can run them, if they need nothing else of it.
    """
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


@contextmanager
def modules_of_this_process() -> Iterator[None]:
    """Start Ray inside this `with` block: its processes then import what this one does, and nothing else.

    Ray puts the current folder on its workers' path, and its daemons look there by themselves: a torch.py or a checkout
    of this package that lies there would be taken, though this process has none of it on its own path.
    """
    here = Path.cwd()
    if any(Path(entry).absolute() == here for entry in sys.path):
        yield
        return
    if given := os.environ.get("PYTHONPATH"):
        os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in given.split(os.pathsep))
    os.chdir("/")
    try:
        yield
    finally:
        os.chdir(here)
