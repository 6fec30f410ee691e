"""Join the Ray cluster that is there, or start one on this machine, and see what fits on it."""

import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ray
import ray.exceptions

from bissl_ray.errors import BadInputError
from bissl_ray.sweep.environment import worker_environment
from bissl_ray.training.ray_train import GroupShape

_CONNECT_S = 3.0


@dataclass(frozen=True)
class Cluster:
    """A connected cluster.

    Attributes:
        where: in words, for messages.
        cpus: CPUs in all.
        gpus: GPUs in all.
        attached: whether it ran before us (and goes on after us).
    """

    where: str
    cpus: int
    gpus: int
    attached: bool

    def shape(self, workers: int, run_dir: str) -> GroupShape:
        """The shape of a worker group here: a GPU per worker where there are GPUs, and its share of the CPUs.

        Raises:
            BadInputError: one trial asks for more than the whole cluster has.
        """
        if self.gpus:
            if workers > self.gpus:
                raise BadInputError(
                    f"{workers} workers per trial need {workers} GPUs; {self.where} has {self.gpus}: "
                    "ask for fewer with --workers-per-trial, or attach to a larger cluster with --address"
                )
            return GroupShape(workers, max(1, self.cpus // self.gpus), True, run_dir)
        if workers > self.cpus:
            raise BadInputError(
                f"{workers} workers per trial need {workers} CPUs; {self.where} has {self.cpus}: "
                "ask for fewer with --workers-per-trial, or attach to a larger cluster with --address"
            )
        return GroupShape(workers, 1, False, run_dir)

    def slots(self, shape: GroupShape) -> int:
        """How many groups of this shape fit at a time."""
        by_cpu = self.cpus // (shape.workers * shape.cpus_per_worker)
        return max(1, min(by_cpu, self.gpus // shape.workers) if shape.use_gpu else by_cpu)


@contextmanager
def connected(address: str | None, workers: int) -> Iterator[Cluster]:
    """Connect for the duration of a `with` block, then disconnect (and end a cluster of our own).

    Args:
        address: "auto", "host:port" (also ray://host:port), or None for a local cluster on 127.0.0.1.
        workers: workers per trial.

    Raises:
        BadInputError: nothing answers at the address, or it wants a token that we don't have.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="ray")
    if address is None:
        _start_local(workers)
        where = "this machine"
    else:
        _attach(address)
        where = f"the cluster at {address}"
    try:
        resources = ray.cluster_resources()
        yield Cluster(where, int(resources.get("CPU", 0)), int(resources.get("GPU", 0)), address is not None)
    finally:
        ray.shutdown()


def _start_local(workers: int) -> None:
    ray.init(
        address="local",
        num_cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        # Ray Train's placement-group cleaner asks the State API, which the dashboard serves.
        include_dashboard=workers > 1,
        logging_level=logging.ERROR,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"env_vars": worker_environment()},
    )


def _attach(address: str) -> None:
    _check_reachable(address)
    try:
        ray.init(
            address=address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            configure_logging=False,
            runtime_env={"env_vars": worker_environment()},
        )
    except ray.exceptions.AuthenticationError as error:
        raise BadInputError(
            f"the cluster at {address} wants an authentication token, and the one here is missing or another: "
            "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) to the cluster's own, "
            "found on its head node in ~/.ray/auth_token"
        ) from error
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise BadInputError(
            f"no Ray cluster answers at {address} ({_first_line(error)}): check it with `ray status` there, "
            "or leave --address and RAY_ADDRESS out to start a cluster on this machine"
        ) from error


def _check_reachable(address: str) -> None:
    """Refuse at once what Ray would try for minutes."""
    plain = address.removeprefix("ray://")
    if plain == "auto":
        return
    host, _, port = plain.rpartition(":")
    if not host or not port.isdigit():
        raise BadInputError(
            f"--address {address}: expected 'auto' or HOST:PORT, such as 127.0.0.1:6379; "
            "`ray start --head` prints the cluster's own"
        )
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
    except OSError as error:
        raise BadInputError(
            f"nothing answers at {address} ({error.strerror or error}): check that the cluster runs "
            "(`ray status` on its head node) and that its port is reachable from here"
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:160].rstrip(".") if lines else type(error).__name__
