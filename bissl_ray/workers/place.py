"""Where a job runs: in this process, on workers of this machine, or on a cluster."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from bissl_ray.progress import Note, View
from bissl_ray.training.order import Order
from bissl_ray.training.worker import default_device, named
from bissl_ray.workers import environment
from bissl_ray.workers.interrupt import Interrupt
from bissl_ray.workers.launch import RunEnd, run_here, run_on_workers
from bissl_ray.workers.neighbours import Neighbours
from bissl_ray.workers.own_ray import check_this_machine
from bissl_ray.workers.shape import Cluster, GroupShape, this_machine

_LOOK_S: Final = 2.0


@dataclass(frozen=True)
class Need:
    """What a job asks of the place where it runs.

    Attributes:
        workers: that work together.
        flag: what asked for so many, for error lines.
        in_process: whether one worker may be this very process, where no cluster is asked for.
        pretrains: whether a part of it takes as many workers as there is room for.
        gpu_share: of a GPU, for each worker; None: a whole one where there are any.
        resources: what else each takes of the cluster's, by Ray's names.
        most_groups: at a time; None: as many as there is room for.
    """

    workers: int
    flag: str
    in_process: bool
    pretrains: bool = False
    gpu_share: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    most_groups: int | None = None

    def shape(self, cluster: Cluster, run_dir: str) -> GroupShape:
        """Groups of its workers on a cluster; as `Cluster.shape`."""
        return cluster.shape(self.workers, run_dir, self.flag, self.gpu_share, self.resources)

    def on(self, cluster: Cluster, run_dir: str) -> "OnCluster":
        """Such groups, on the machines of a cluster that have what is asked for (raises BadInputError, as `shape`)."""
        return OnCluster(cluster.having(self.resources), self.shape(cluster, run_dir), self.most_groups)

    @property
    def is_this_process(self) -> bool:
        """Whether it is met without any Ray, where no cluster is asked for."""
        return self.in_process and self.workers == 1


@dataclass(frozen=True)
class Here:
    """This process, its only worker."""

    @property
    def words(self) -> str:
        """For a line."""
        return f"{'on a GPU' if default_device().type == 'cuda' else 'on the CPU'}, in this process"

    @property
    def has_gpus(self) -> bool:
        """Whether its worker has a GPU."""
        return default_device().type == "cuda"

    @property
    def device(self) -> str:
        """Of its worker, as a row has it."""
        return named(default_device())

    def run(self, order: Order, view: View, stop_asked: Callable[[], bool]) -> RunEnd:
        """As `run_here`."""
        return run_here(order, view, stop_asked)


@dataclass(frozen=True)
class OnCluster:
    """Groups of workers of one shape on a connected cluster.

    Attributes:
        cluster: where.
        shape: of each.
        most_groups: as of `Need`.
        neighbours: the other jobs of this package that share the cluster; None: it is this job's own.
    """

    cluster: Cluster
    shape: GroupShape
    most_groups: int | None = None
    neighbours: Neighbours | None = None

    @property
    def words(self) -> str:
        """For a line."""
        count = self.shape.workers
        workers = "1 worker" if count == 1 else f"{count} workers"
        return f"on {workers} of {self.cluster.where}, on {self.shape.on}"

    @property
    def slots(self) -> int:
        """How many groups fit at a time, or may be; 0 while other jobs hold all that there is."""
        fitting = self.cluster.slots(self.shape)
        if self.neighbours is not None:
            fitting = self.neighbours.groups(fitting)
        return fitting if self.most_groups is None else min(fitting, self.most_groups)

    @property
    def gpus(self) -> float:
        """GPUs that all groups together occupy."""
        return self.slots * self.shape.workers * self.shape.gpu_share if self.shape.use_gpu else 0

    @property
    def together(self) -> "OnCluster":
        """One group of as many workers as all groups have, each with a whole GPU where there are any."""
        whole = self
        if self.shape.gpu_share < 1:
            shape = self.cluster.shape(1, self.shape.run_dir, resources=self.shape.resources)
            whole = replace(self, shape=shape)
        return whole.of(max(whole.slots, 1) * whole.shape.workers)

    def want(self, groups: int | None) -> None:
        """Say how many groups the job could use at the moment, to those that share the cluster; None: all."""
        if self.neighbours is not None:
            self.neighbours.want(1.0 if groups is None else groups / self.cluster.slots(self.shape))

    def wait_for_room(self, view: View, stop_asked: Callable[[], bool]) -> "OnCluster":
        """Wait until there is room for a group beside the jobs that share the cluster, or somebody asks to stop.

        Returns:
            The place as it is then.
        """
        now, said = self, None
        while now.neighbours is not None and now.slots == 0 and not stop_asked():
            line = f"{now.neighbours.what} {now.neighbours.holding}"
            if line != said:
                view.show(Note(line))
                said = line
            time.sleep(_LOOK_S)
            now = now.now
        return now

    @property
    def now(self) -> "OnCluster":
        """The same with the machines that the cluster has now."""
        from bissl_ray.workers.nodes import nodes_now

        return replace(self, cluster=replace(self.cluster, nodes=nodes_now()).having(self.shape.resources))

    @property
    def has_gpus(self) -> bool:
        """Whether its workers have GPUs."""
        return self.shape.use_gpu

    @property
    def device(self) -> str:
        """Of its workers: "GPU" or "CPU", for which one it is, only they know."""
        return "GPU" if self.shape.use_gpu else "CPU"

    def of(self, workers: int) -> "OnCluster":
        """Groups of so many workers there, otherwise alike."""
        return replace(self, shape=replace(self.shape, workers=workers))

    def run(self, order: Order, view: View, stop_asked: Callable[[], bool]) -> RunEnd:
        """As `run_on_workers`, always on as many."""
        return run_on_workers(order, lambda: self.shape, view, stop_asked)


Place = Here | OnCluster


def check_here(need: Need, suits: Callable[[Place], None]) -> None:
    """Refuse, before anything starts, what this machine can't run.

    Args:
        need: what is asked of it.
        suits: raises BadInputError where the place won't do.

    Raises:
        BadInputError: as `check_this_machine`; or it is too small.
    """
    check_this_machine()
    if need.is_this_process:
        suits(Here())
        return
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():  # else: the cluster that whoever called us is connected to
        cluster = this_machine()
        suits(need.on(cluster, ""))


@contextmanager
def one_cluster(address: str | None, several: bool, say: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """One cluster for jobs that follow each other, for the duration of a `with` block: it is started, or joined, once.

    Args:
        address: of a cluster to join, as `chosen_address` gives it; None: one is started here.
        several: whether several workers of any of them may work together.
        say: takes a line for a person who waits.

    Raises:
        BadInputError: the cluster can't be joined.
        RunFailedError: Ray does not start.
    """
    environment.prepare(address)
    from bissl_ray.workers.cluster import connected

    with connected(address, several, say):
        yield


@contextmanager
def place_for(
    need: Need, run_dir: str, address: str | None, say: Callable[[str], None] = lambda _: None
) -> Iterator[Place]:
    """Where a job runs, for the duration of a `with` block.

    Args:
        need: what it asks for.
        run_dir: folder or URI for Ray Train's own state.
        address: of a cluster to join; None: this process where that will do, else a cluster that is started here.
        say: takes a line for a person who waits.

    Raises:
        BadInputError: the cluster can't be joined, or is too small.
        RunFailedError: Ray does not start.
    """
    if address is None and need.is_this_process:
        yield Here()
        return
    # Before Ray is imported, which reads it.
    environment.prepare(address)
    from bissl_ray.workers.cluster import connected

    with connected(address, need.workers > 1 or need.pretrains, say) as cluster:
        yield need.on(cluster, run_dir)


@contextmanager
def looked_after(place: Place, what: str, go_on: str, interrupt: Interrupt) -> Iterator[None]:
    """Watch the place for the duration of a `with` block, as `watch.watched` does; this process needs no watching."""
    if isinstance(place, Here):
        yield
        return
    from bissl_ray.workers.watch import watched

    with watched(what, go_on, interrupt):
        yield
