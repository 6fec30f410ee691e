"""Join the Ray cluster that is there, or start one on this machine, and see what fits on it."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import ray

from bissl_ray.data.machine import processors
from bissl_ray.errors import BadInputError
from bissl_ray.workers.environment import name_the_cluster, worker_environment
from bissl_ray.workers.train_run import GroupShape


class Node(NamedTuple):
    """What one machine of a cluster has."""

    cpus: int
    gpus: int


@dataclass(frozen=True)
class Cluster:
    """A connected cluster.

    Attributes:
        where: in words, for messages.
        nodes: of its machines, each with its CPUs and GPUs.
    """

    where: str
    nodes: tuple[Node, ...]

    @property
    def cpus(self) -> int:
        """CPUs in all."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> int:
        """GPUs in all."""
        return sum(node.gpus for node in self.nodes)

    def shape(self, workers: int, run_dir: str, flag: str = "--workers-per-trial") -> GroupShape:
        """The shape of a worker group here: a GPU per worker where there are GPUs, and its share of the CPUs.

        Args:
            workers: that work together.
            run_dir: folder or URI for Ray Train's own state.
            flag: what asked for so many, for error lines.

        Raises:
            BadInputError: one group asks for more than the whole cluster has.
        """
        there, unit = (self.gpus, "GPUs") if self.gpus else (self.cpus, "CPUs")
        if workers > there:
            raise BadInputError(
                f"{workers} workers need {workers} {unit}; {self.where} has {there}: "
                f"ask for fewer with {flag}, or attach to a larger cluster with --address"
            )
        # Of the machines that have GPUs: a worker must fit on one of them, whatever a head node has beside.
        share = min((node.cpus // node.gpus for node in self.nodes if node.gpus), default=1)
        return GroupShape(workers, max(1, share), self.gpus > 0, run_dir)

    def slots(self, shape: GroupShape) -> int:
        """How many groups of this shape fit at a time."""
        by_cpu = (node.cpus // shape.cpus_per_worker for node in self.nodes)
        fitting = (min(n, node.gpus) if shape.use_gpu else n for n, node in zip(by_cpu, self.nodes, strict=True))
        return max(1, sum(fitting) // shape.workers)


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
    warnings.filterwarnings("ignore", module="ray")
    ours = not ray.is_initialized()
    if not ours:
        where = "the cluster that this process is connected to"
    elif address is None:
        # Ray Train's placement-group cleaner asks the State API, which the dashboard serves.
        _init(address="local", num_cpus=processors(), include_dashboard=several)
        where = "this machine"
    else:
        _init(address=address)
        where = "the cluster on this machine" if address == "auto" else f"the cluster at {address}"
    try:
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        yield Cluster(where, tuple(Node(int(has.get("CPU", 0)), int(has.get("GPU", 0))) for has in alive))
    finally:
        if ours:
            ray.shutdown()


def _init(**options: str | int) -> None:
    """Connect, with Ray's own messages silenced."""
    ray.init(
        **options,
        logging_level=logging.ERROR,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"env_vars": worker_environment(), "worker_process_setup_hook": name_the_cluster},
    )
