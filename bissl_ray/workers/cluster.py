"""Join the Ray cluster that is there, or start one on this machine, and see what fits on it."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import ray

from bissl_ray.data.machine import processors
from bissl_ray.workers.environment import modules_of_this_process, name_the_cluster, worker_environment
from bissl_ray.workers.own_ray import object_store, ray_folder, sockets_of_daemons
from bissl_ray.workers.shape import Cluster, Node

_OURS: Final[list[str]] = []
"""What the cluster is called that this package has connected the process to; nothing where somebody else has."""


@contextmanager
def connected(address: str | None, several: bool) -> Iterator[Cluster]:
    """Connect for the duration of a `with` block, then disconnect (and end a cluster of our own).

    A process that is connected to Ray already stays as it is.

    Args:
        address: "auto", "host:port" (also ray://host:port), which `environment.prepare` has found to answer; None
            for a local cluster on 127.0.0.1.
        several: whether several workers may work together.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    # Tune's own state is never read: what the storage refuses is said in a line, without the traceback of its copy.
    logging.getLogger("ray.tune.execution.experiment_state").setLevel(logging.CRITICAL)
    # What became of each trial is in the store and on the board; Tune would list its own names of those it lost.
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="ray")
    if ray.is_initialized():
        yield Cluster(_OURS[-1] if _OURS else "the cluster that this process is connected to", _nodes())
    elif address is None:
        with _of_our_own(several), _known_as("this machine") as where:
            yield Cluster(where, _nodes())
    else:
        name = "the cluster on this machine" if address == "auto" else f"the cluster at {address}"
        with _connection(address=address), _known_as(name) as where:
            yield Cluster(where, _nodes())


@contextmanager
def _known_as(where: str) -> Iterator[str]:
    _OURS.append(where)
    try:
        yield where
    finally:
        _OURS.remove(where)


@contextmanager
def _of_our_own(several: bool) -> Iterator[None]:
    # Ray Train's placement-group cleaner asks the State API, which the dashboard serves.
    options: dict[str, str | int] = {"address": "local", "num_cpus": processors(), "include_dashboard": several}
    with ray_folder() as folder, ExitStack() as ends:
        with sockets_of_daemons(folder):
            ends.enter_context(_connection(**options, _temp_dir=folder, **object_store(folder)))
        yield


@contextmanager
def _connection(**options: str | int) -> Iterator[None]:
    """Connect for the duration of a `with` block, with Ray's own messages silenced."""
    try:
        with modules_of_this_process():
            ray.init(
                **options,
                logging_level=logging.ERROR,
                log_to_driver=False,
                configure_logging=False,
                runtime_env={"env_vars": worker_environment(), "worker_process_setup_hook": name_the_cluster},
            )
        yield
    finally:
        ray.shutdown()


def _nodes() -> tuple[Node, ...]:
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return tuple(Node(int(has.get("CPU", 0)), int(has.get("GPU", 0))) for has in alive)
