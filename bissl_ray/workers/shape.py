"""What fits on a cluster: how many groups of workers, with what each. Known without Ray."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from bissl_ray.data.machine import processors
from bissl_ray.errors import BadInputError, nearest

_ROUNDING = 1e-6
_LEAST, _MOST = 1e-4, 2**31
_RAYS_OWN = ("node:", "object_store_memory", "memory", "CPU", "GPU")
_WITH_FLAGS = {
    "CPU": "each worker has its part of its machine's",
    "GPU": "use --gpus-per-worker",
    "memory": "`bissl-ray doctor` says what the largest configuration takes",
}
_FILLED = 0.98
"""What is left of a GPU that is shared by 0.33 or 0.14 is worth no refusal."""


@dataclass(frozen=True)
class GroupShape:
    """What one group of workers takes from the cluster.

    Attributes:
        workers: worker processes that share one trial.
        cpus_per_worker: CPUs (and threads) of each.
        use_gpu: whether each worker takes a GPU.
        run_dir: folder or URI where Ray Train keeps its own state, reachable from every node.
        gpu_share: of a GPU, that each takes: 1, or a fraction that others share it by.
        resources: what else each takes of the cluster's, by name: {"accelerator_type:H100": 0.001} is to be on one.
    """

    workers: int
    cpus_per_worker: int
    use_gpu: bool
    run_dir: str
    gpu_share: float = 1.0
    resources: Mapping[str, float] = field(default_factory=dict)

    @property
    def on(self) -> str:
        """What each worker runs on, in words."""
        if not self.use_gpu:
            return "CPUs"
        return "GPUs" if self.gpu_share == 1 else f"{self.gpu_share:g} of a GPU"

    @property
    def workers_per_gpu(self) -> int:
        """How many workers fill a GPU."""
        return int(1 / self.gpu_share + _ROUNDING)

    @property
    def worker_resources(self) -> dict[str, float]:
        """Ray resources of one worker."""
        # Ray refuses more than four digits.
        gpu: dict[str, float] = {"GPU": int(self.gpu_share * 1e4 + _ROUNDING) / 1e4} if self.use_gpu else {}
        return {"CPU": self.cpus_per_worker, **gpu, **self.resources}


class Node(NamedTuple):
    """What one machine of a cluster has; `others` are Ray's resources beside these, by name."""

    cpus: int
    gpus: int
    others: Mapping[str, float] = MappingProxyType({})

    def times(self, resources: Mapping[str, float]) -> int | None:
        """How often it has what is asked for of its others; None: nothing is asked for."""
        each = [int(self.others.get(name, 0.0) / amount + _ROUNDING) for name, amount in resources.items()]
        return min(each, default=None)


@dataclass(frozen=True)
class Cluster:
    """A connected cluster.

    Attributes:
        where: in words, for messages.
        nodes: of its machines, each with its CPUs and GPUs.
    """

    where: str
    nodes: tuple[Node, ...]

    def having(self, resources: Mapping[str, float]) -> "Cluster":
        """Those of its machines that have what workers ask for beside CPUs and GPUs."""
        return replace(self, nodes=tuple(node for node in self.nodes if node.times(resources) != 0))

    @property
    def cpus(self) -> int:
        """CPUs in all."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> int:
        """GPUs in all."""
        return sum(node.gpus for node in self.nodes)

    def shape(
        self,
        workers: int,
        run_dir: str,
        flag: str = "--workers-per-trial",
        gpu_share: float | None = None,
        resources: Mapping[str, float] = MappingProxyType({}),
    ) -> GroupShape:
        """The shape of a worker group here: a GPU per worker where there are GPUs, and its share of the CPUs.

        Args:
            workers: that work together.
            run_dir: folder or URI for Ray Train's own state.
            flag: what asked for so many, for error lines.
            gpu_share: fraction of a GPU for each, checked by `check_gpu_share`; None: a whole one where there are any.
            resources: what else each takes, by Ray's names.

        Raises:
            BadInputError: one group asks for more than the whole cluster has, or for a part of a GPU where none is.
        """
        if resources:
            able = self.having(resources)
            if not able.nodes:
                raise BadInputError(_lacking(self, resources))
            return replace(able.shape(workers, run_dir, flag, gpu_share), resources=dict(resources))
        if gpu_share is not None and not self.gpus:
            raise BadInputError(
                f"--gpus-per-worker {gpu_share:g}: {self.where} has no GPU: leave it out of a new sweep or "
                "comparison, or attach to a cluster that has some with --address"
            )
        there, unit = (self.gpus, "GPUs") if self.gpus else (self.cpus, "CPUs")
        if workers > there:
            raise BadInputError(
                f"{workers} workers need {workers} {unit}; {self.where} has {there}: "
                f"ask for fewer with {flag}, or attach to a larger cluster with --address"
            )
        shape = GroupShape(workers, 1, self.gpus > 0, run_dir, gpu_share or 1.0)
        # Of the machines that have GPUs: a worker must fit on one of them, whatever a head node has beside.
        each = (node.cpus // (node.gpus * shape.workers_per_gpu) for node in self.nodes if node.gpus)
        return replace(shape, cpus_per_worker=max(1, min(each, default=1)))

    def slots(self, shape: GroupShape) -> int:
        """How many groups of this shape fit at a time."""
        fitting = 0
        for node in self.nodes:
            limits = [node.cpus // shape.cpus_per_worker, node.times(shape.resources)]
            limits += [node.gpus * shape.workers_per_gpu] if shape.use_gpu else []
            fitting += min(limit for limit in limits if limit is not None)
        return max(1, fitting // shape.workers)


def _lacking(cluster: Cluster, resources: Mapping[str, float]) -> str:
    asked = ", ".join(f"{amount:g} {name}" for name, amount in resources.items())
    there = sorted({name for node in cluster.nodes for name in node.others if not name.startswith(_RAYS_OWN)})
    known = ", ".join(there) or "nothing beside CPUs and GPUs"
    return (
        f"--resources: nothing on {cluster.where} has {asked}; there is {known}{nearest(next(iter(resources)), there)}"
    )


def read_resources(written: str | Mapping[str, float] | None) -> dict[str, float]:
    """What workers take of a cluster beside CPUs and GPUs, as a person wrote it.

    Args:
        written: JSON of names and amounts, such as '{"accelerator_type:H100": 0.001}', or the same as a mapping.

    Raises:
        BadInputError: it is something else, or asks for what has a flag of its own.
    """
    expected = """expected Ray's names with amounts, such as '{"accelerator_type:H100": 0.001}'"""
    try:
        found = json.loads(written) if isinstance(written, str) else dict(written or {})
    except ValueError:
        raise BadInputError(f"--resources {written}: {expected}") from None
    if not isinstance(found, dict):
        raise BadInputError(f"--resources {written}: {expected}")
    for name, amount in found.items():
        if name in _WITH_FLAGS:
            raise BadInputError(f"--resources: {name} is not asked for here: {_WITH_FLAGS[name]}")
        number = isinstance(amount, int | float) and not isinstance(amount, bool)
        # Ray counts in ten thousandths, and in whole numbers from one on.
        if not name or not number or not _LEAST <= amount < _MOST or (amount > 1 and amount != int(amount)):
            raise BadInputError(f"--resources: found {amount!r} of {name!r}, {expected}, from 0.0001, whole from 1 on")
    return {name: float(amount) for name, amount in found.items()}


def check_gpu_share(share: float | None, workers: int) -> None:
    """Refuse a part of a GPU per worker that leaves some of it over, or that several workers of a trial would have.

    Args:
        share: as asked for; None: a whole one.
        workers: of a trial.

    Raises:
        BadInputError: it is neither 1 nor 1/n (rounded down: 0.33), or a fraction for workers that work together.
    """
    if share is None or share == 1:
        return
    if not 0 < share < 1 or int(1 / share + _ROUNDING) * share < _FILLED:
        raise BadInputError(
            f"--gpus-per-worker {share:g}: expected 1, or such a part of a GPU that some fill it: 0.5, 0.33, 0.25, 0.2"
        )
    if workers > 1:
        raise BadInputError(
            f"--gpus-per-worker {share:g} with --workers-per-trial {workers}: workers of one trial talk by nccl, which "
            "wants a GPU for each; leave out one of the two"
        )


def this_machine() -> Cluster:
    """This machine as a cluster of our own will find it."""
    import torch

    return Cluster("this machine", (Node(processors(), torch.cuda.device_count()),))
