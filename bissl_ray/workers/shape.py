"""What fits on a cluster: how many groups of workers, with what each. Known without Ray."""

from dataclasses import dataclass
from typing import NamedTuple

from bissl_ray.data.machine import processors
from bissl_ray.errors import BadInputError


@dataclass(frozen=True)
class GroupShape:
    """What one group of workers takes from the cluster.

    Attributes:
        workers: worker processes that share one trial.
        cpus_per_worker: CPUs (and threads) of each.
        use_gpu: whether each worker takes one GPU.
        run_dir: folder or URI where Ray Train keeps its own state, reachable from every node.
    """

    workers: int
    cpus_per_worker: int
    use_gpu: bool
    run_dir: str

    @property
    def worker_resources(self) -> dict[str, float]:
        """Ray resources of one worker."""
        gpu: dict[str, float] = {"GPU": 1} if self.use_gpu else {}
        return {"CPU": self.cpus_per_worker, **gpu}


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


def this_machine() -> Cluster:
    """This machine as a cluster of our own will find it."""
    import torch

    return Cluster("this machine", (Node(processors(), torch.cuda.device_count()),))
