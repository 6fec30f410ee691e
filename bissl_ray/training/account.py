"""What a trial has come to and cost, and its reports."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypedDict

import torch

from bissl_ray.progress import Sender
from bissl_ray.training.peak_memory import PeakMemory
from bissl_ray.training.worker import Worker, named
from bissl_ray.world import world


class Totals(TypedDict, total=False):
    """What a trial has come to, as far as its stages got; mostly columns of its row (`store.schema`)."""

    objective: float
    checkpoint: str
    train_loss: float
    test_metric: float
    metrics: dict[str, dict[str, float]]
    """Every figure of the split that was looked at, by what was judged."""
    by_class: dict[str, list[float | None]]
    """Some of these for each class, where the task has such."""
    class_names: list[str]
    pictures: list[str]
    """Files relative to the storage."""
    alternations: int
    hvps: int
    cg_residual: float | None
    residuals: list[float]
    """Those that `cg_residual` is the mean of."""
    negative_curvature: int
    implicit_change: float | None
    embedding_std: float
    embedding_rank: float
    lower_knn_before: float
    lower_probe_before: float
    lower_knn: float
    lower_probe: float
    cka_pretrained: float | None
    distance_pretrained: float
    moved: float
    alignment_seconds: float
    """Not in `Account.seconds`."""
    peak_memory: int
    """Bytes; of the first worker."""


class Account:
    """Adds up one trial, earlier attempts included.

    Attributes:
        totals: what the trial's result will say; survives interruption.
        objective_name: `Metric.objective_name` of the metric that the field uses on this dataset.
        told: all reports that were made, earlier attempts' too; of plain values, to be saved with where the trial is.
    """

    def __init__(self, worker: Worker, sender: Sender, objective_name: str) -> None:
        self.totals: Totals = {}
        self.told: list[dict[str, Any]] = []
        self._earlier: list[dict[str, Any]] = []
        self.objective_name = objective_name
        self._worker = worker
        self._sender = sender
        self._begin = world().monotonic()
        self._seconds_before = 0.0
        self._apart = 0.0
        self._memory = PeakMemory(worker.device)

    @property
    def seconds(self) -> float:
        """Time that the trial has taken, without what was counted apart."""
        return self._seconds_before + world().monotonic() - self._begin - self._apart

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Count the time of a `with` block as `alignment_seconds`: what only looks at a method is no cost of it.

        Work that a device still does before and after the block is to be waited for by who uses this.
        """
        begin = world().monotonic()
        yield
        spent = world().monotonic() - begin
        self._apart += spent
        self.totals["alignment_seconds"] = self.totals.get("alignment_seconds", 0.0) + spent

    def go_on(self, totals: Totals, seconds: float, told: Sequence[Mapping[str, Any]] = ()) -> None:
        """Take up what an earlier attempt had come to, the time it took, and what it had told.

        It may have told it to a driver that was killed before it had written it down: the next report says it again.
        """
        self.totals, self._seconds_before = totals, seconds
        self.told = [dict(row) for row in told]
        self._earlier = list(self.told)

    def took_before(self, seconds: float) -> None:
        """Count an attempt that came to nothing: it had taken so long in all when it ended."""
        self._seconds_before = max(self._seconds_before, seconds)

    @property
    def so_far(self) -> dict[str, Any]:
        """What the trial has come to and cost: its result, when it has ended."""
        seconds, workers, share = self.seconds, self._worker.world_size, self._worker.gpu_share
        held = self._memory.bytes
        if held is not None:
            self.totals["peak_memory"] = max(held, self.totals.get("peak_memory", 0))
        return {
            **{name: value for name, value in self.totals.items() if name != "residuals"},
            "objective_name": self.objective_name,
            "seconds": seconds,
            "gpu_seconds": seconds * workers * share if self._worker.device.type == "cuda" else 0.0,
            "workers": workers,
            "device": named(self._worker.device),
            "threads": torch.get_num_threads(),
        }

    def report(self, row: Mapping[str, Any]) -> None:
        """Report a row, with the time it was made at and what the trial has come to; called on every worker.

        The first of a further attempt has beside it, as `earlier`, those of the attempts before.

        Raises:
            TrialStoppedError: the answer is to stop; alike on every worker.
        """
        whole = {"objective_name": self.objective_name, "seconds": self.seconds, **row}
        again = self.again
        self.told.append(whole)
        self._sender.report({**whole, **again, "so_far": self.so_far}, self._worker.is_chief)

    @property
    def again(self) -> dict[str, Any]:
        """What earlier attempts had told, once: for a report, or for the trial's result if there is none any more."""
        earlier, self._earlier = self._earlier, []
        return {"earlier": earlier} if earlier else {}
