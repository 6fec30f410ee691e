"""Scaling: a pretraining step and a curvature product over more and more workers."""

import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch

from bissl_ray.benchmarks.collectives import InCollectives
from bissl_ray.benchmarks.device import device_name
from bissl_ray.benchmarks.gauges import Clock, Gauge, Kernels, read
from bissl_ray.benchmarks.processes import on_workers
from bissl_ray.benchmarks.stage_rounds import stage_settings, trial_for
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.settings import Settings
from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from bissl_ray.parallel import frozen_statistics
from bissl_ray.progress import Silent
from bissl_ray.training.curvature import exact_curvature
from bissl_ray.training.data import TrialData
from bissl_ray.training.precision import Precision, training_arithmetic
from bissl_ray.training.stages.pretrain import pretraining
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import Worker, alone, default_device

_DATA = DataChoice("digits")
_BATCHES = 4
STRONG, WEAK = "strong", "weak"
_Timed = list[tuple[list[float], float]]
"""Of a step and of a product: seconds of each time, and the share of communication."""


@dataclass(frozen=True)
class Question:
    """What to measure: see `bissl-ray bench scaling --help`.

    Attributes:
        workers: how many, one measurement each; the first is what the others are compared with.
        batch: over all workers (strong scaling), and of each (weak scaling).
    """

    workers: list[int]
    backbone: str
    pretext: str
    precision: Precision
    size: int
    batch: int
    rounds: int

    def check(self) -> None:
        """Raise BadInputError unless all of it can be measured here."""
        gpus, pool = torch.cuda.device_count(), len(get_dataset(_DATA.dataset).open(None).pretext)
        for workers in self.workers:
            if self.batch % workers or self.batch // workers < 2:
                raise BadInputError(
                    f"--batch {self.batch} over {workers} workers: expected at least 2 images each, and equally many; "
                    "change --batch or --workers"
                )
            if 0 < gpus < workers:
                raise BadInputError(f"--workers {workers}: found {gpus} GPUs, expected one for each; ask for fewer")
        _settings(self, self.batch)
        if self.batch > pool:
            raise BadInputError(f"--batch {self.batch}: {_DATA.dataset} has {pool} images for the pretext; lower it")


@dataclass(frozen=True)
class Work:
    """What one kind of work costs on some workers.

    Attributes:
        seconds: of each time, on the first worker.
        efficiency: of so many workers, beside the fewest: 1 is perfect.
        communication: the share of the time in collectives, waiting for the others included.
    """

    seconds: list[float]
    efficiency: float
    communication: float


@dataclass(frozen=True)
class Row:
    """Some workers.

    Attributes:
        kind: "strong": the same batch over all; "weak": the same batch for each.
        workers: how many.
        share: images of each worker.
        step: of pretraining.
        product: of the curvature with a vector.
    """

    kind: str
    workers: int
    share: int
    step: Work
    product: Work


@dataclass(frozen=True)
class Measurement:
    """All of them; threads: of each worker, None on GPUs."""

    question: Question
    device: str
    threads: int | None
    rows: list[Row]


def measure_scaling(question: Question) -> Measurement:
    """Start workers for each row, one row after another.

    Raises:
        BadInputError: as `Question.check`.
    """
    question.check()
    on_gpu = default_device().type == "cuda"
    # The same for every row: a row with fewer workers leaves processors idle, as one of GPUs would.
    threads = None if on_gpu else max(1, torch.get_num_threads() // max(question.workers))
    rows: list[Row] = []
    measured: dict[tuple[int, int], _Timed] = {}
    for kind in (STRONG, WEAK):
        found: list[tuple[int, _Timed]] = []
        for workers in question.workers:
            share = question.batch // workers if kind == STRONG else question.batch
            # One worker's share is the same in both.
            if (workers, share) not in measured:
                measured[workers, share] = on_workers(_measure, workers, question, share, threads)
            found.append((workers, measured[workers, share]))
            rows.append(Row(kind, workers, share, *(_work(kind, found, which) for which in (0, 1))))
    device = device_name(default_device()) if on_gpu else "CPU"
    return Measurement(question, device, threads, rows)


def _work(kind: str, found: Sequence[tuple[int, _Timed]], which: int) -> Work:
    (fewest, first), (workers, last) = found[0], found[-1]
    seconds, communication = last[which]
    ratio = statistics.median(first[which][0]) / statistics.median(seconds)
    return Work(seconds, ratio * fewest / workers if kind == STRONG else ratio, communication)


def _settings(question: Question, batch: int) -> Settings:
    return stage_settings(
        1,
        batch,
        backbone=question.backbone,
        pretext=question.pretext,
        precision=question.precision,
        image_size=question.size,
        loader_processes=0,
    )


def _measure(worker: Worker, question: Question, share: int, threads: int | None) -> _Timed:
    """Time some steps and some products (collective)."""
    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        with tempfile.TemporaryDirectory() as folder, training_arithmetic(question.precision):
            settings = _settings(question, share * worker.world_size)
            trial = trial_for(settings, _DATA, Path(folder), worker)
            # Each worker draws images of its own: all together may want more than there are.
            data = TrialData(_DATA, settings, worker.rank, alone(worker.device), Silent().send)
            with data.pretext_batches("bench", share, 0) as drawn:
                batches = list(islice(drawn, _BATCHES))
            return [
                _timed(_steps(trial, batches), question, worker),
                _timed_products(trial, batches[0], share, question, worker),
            ]
    finally:
        torch.set_num_threads(before)


def _steps(trial: Trial, batches: list[Any]) -> Callable[[], None]:
    trial.models.lower.train()
    trial.models.pretext.train()
    run, endless = pretraining(trial), cycle(batches)
    return lambda: run.run(endless, [run.step + 1], lambda _: None)


def _timed_products(
    trial: Trial, batch: Any, share: int, question: Question, worker: Worker
) -> tuple[list[float], float]:
    models = trial.models
    with (
        frozen_statistics(models.lower, models.pretext),
        exact_curvature(trial.settings, models, share)(batch) as H,
    ):
        vector = torch.cat([torch.linspace(-1, 1, p.numel(), device=p.device) for p in H.params])
        return _timed(lambda: H.flat_matvec(vector), question, worker)


def _timed(run: Callable[[], object], question: Question, worker: Worker) -> tuple[list[float], float]:
    def round_(_: Callable[[], None]) -> None:
        run()

    read(round_, Clock(worker.device))
    seconds = [read(round_, Clock(worker.device))[0].wall for _ in range(question.rounds)]
    gauge: Gauge[float] = (
        Kernels(worker.device, "nccl") if worker.device.type == "cuda" else InCollectives(worker.device)
    )
    spent = statistics.median(read(round_, gauge)[0] for _ in range(question.rounds))
    return seconds, min(1.0, spent / statistics.median(seconds))
