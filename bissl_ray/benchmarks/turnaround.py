"""Turnaround: how long workers idle between one trial's end and the next one's first step."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median
from typing import Any, TypedDict

import torch
from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher

from bissl_ray.config import load_search_space
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.progress import Silent
from bissl_ray.sweep.experiment import group_resources
from bissl_ray.training.files import write_tensors
from bissl_ray.training.models import Models
from bissl_ray.training.order import Order
from bissl_ray.training.pipeline import run_order
from bissl_ray.training.worker import from_ray_train
from bissl_ray.workers.cluster import connected
from bissl_ray.workers.group import TrialRunner
from bissl_ray.workers.message_line import MessageLine
from bissl_ray.workers.shape import GroupShape
from bissl_ray.workers.train_run import run_with_messages

Marks = Mapping[str, float]
"""When a trial took its first step and when it ended: "first_step_at" and "ended_at", seconds since the epoch."""
_TINY = {"alternations": 2, "lower_steps": 2, "upper_steps": 2, "head_epochs": 1, "cg_iterations": 1}


@dataclass(frozen=True)
class Turnaround:
    """One way of running trials one after another.

    Attributes:
        way: in words.
        to_first_step: seconds from the call to the first trial's first step.
        between: seconds from each trial's end to the next one's first step.
    """

    way: str
    to_first_step: float
    between: list[float]

    @property
    def typical(self) -> float:
        """Median of `between`, seconds."""
        return median(self.between)


def measure_turnaround(trials: int, workers: int) -> list[Turnaround]:
    """Run the same short digits trials both ways, on a local cluster of this machine.

    Args:
        trials: how many each way, at least 2.
        workers: workers per trial.

    Returns:
        A worker group that outlives trials, then a TorchTrainer started per trial.

    Raises:
        BadInputError: the machine is too small.
    """
    with tempfile.TemporaryDirectory() as folder, connected(None, workers > 1) as cluster:
        shape = cluster.shape(workers, f"{folder}/ray")
        orders = list(_orders(folder, trials))
        return [_worker_group(orders, shape), _trainer_per_trial(orders, shape)]


def _orders(storage: str, count: int) -> Iterator[Order]:
    settings = load_search_space("digits").settings(_TINY)
    models = Models.build(settings, torch.device("cpu"))
    write_tensors(storage, "start.pt", {"backbone": models.content()["backbone"]})
    for i in range(count):
        yield Order(
            trial=f"bench-{i}",
            data=DataChoice("digits"),
            storage=storage,
            sweep="bench",
            settings=settings,
            seed=i,
            stages=("head", "bissl"),
            start="start.pt",
        )


def _worker_group(orders: list[Order], shape: GroupShape) -> Turnaround:
    begin = time.time()
    ends = _Ends()
    tune.run(
        TrialRunner,
        name="bench",
        storage_path=shape.run_dir,
        config={"shape": asdict(shape), "line": None},
        resources_per_trial=group_resources(shape),
        num_samples=-1,
        search_alg=_InTurn(orders),
        reuse_actors=True,
        callbacks=[ends],
        verbose=0,
    )
    return _turnaround("worker group that outlives trials", begin, ends.marks)


def _trainer_per_trial(orders: list[Order], shape: GroupShape) -> Turnaround:
    begin = time.time()
    marks: list[Marks] = []

    def take(mark: Marks) -> bool:
        marks.append(mark)
        return True

    for order in orders:
        run_with_messages(_run_one, {"order": order}, lambda: shape, name=f"{order.trial}-alone", on_message=take)
    return _turnaround("TorchTrainer started per trial", begin, marks)


class _Work(TypedDict):
    order: Order
    line: MessageLine


def _run_one(config: _Work) -> None:
    worker = from_ray_train()
    result = run_order(config["order"], worker, Silent())
    if worker.is_chief:
        config["line"].put(result)


def _turnaround(way: str, begin: float, marks: Sequence[Marks]) -> Turnaround:
    between = [after["first_step_at"] - before["ended_at"] for before, after in pairwise(marks)]
    return Turnaround(way, marks[0]["first_step_at"] - begin, between)


class _InTurn(Searcher):  # type: ignore[misc]
    """Hands out orders one at a time, the next when the last has ended, as the sweep's searcher does."""

    def __init__(self, orders: list[Order]):
        super().__init__(metric="objective", mode="max")
        self._left = list(orders)
        self._running = False

    def suggest(self, trial_id: str) -> dict[str, str] | str | None:
        if self._running:
            return None
        if not self._left:
            return str(Searcher.FINISHED)
        self._running = True
        order = self._left.pop(0)
        return {"trial": order.trial, "order": order.model_dump_json()}

    def on_trial_complete(self, trial_id: str, result: Marks | None = None, error: bool = False) -> None:
        self._running = False

    def save(self, checkpoint_path: str) -> None:
        return

    restore = save


class _Ends(tune.Callback):  # type: ignore[misc]
    """Collects every trial's result."""

    def __init__(self) -> None:
        self.marks: list[Marks] = []

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        self.marks.append(trial.last_result)
