"""Scaling: a pretraining step and a curvature product over more and more workers."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bissl_ray.benchmarks.device import device_name
from bissl_ray.benchmarks.processes import on_workers
from bissl_ray.benchmarks.scaling_work import Timed, measure_work
from bissl_ray.benchmarks.stage_rounds import stage_settings
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.settings import Settings
from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from bissl_ray.training.precision import Precision
from bissl_ray.training.worker import default_device

_DATA = DataChoice("digits")
STRONG, WEAK = "strong", "weak"


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
        self.settings(self.batch)
        if self.batch > pool:
            raise BadInputError(f"--batch {self.batch}: {_DATA.dataset} has {pool} images for the pretext; lower it")

    def settings(self, batch: int) -> Settings:
        """Of a trial with so many images per batch (raises BadInputError: there are no such)."""
        return stage_settings(
            1,
            batch,
            backbone=self.backbone,
            pretext=self.pretext,
            precision=self.precision,
            image_size=self.size,
            loader_processes=0,
        )


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
    measured: dict[tuple[int, int], Timed] = {}
    for kind in (STRONG, WEAK):
        found: list[tuple[int, Timed]] = []
        for workers in question.workers:
            share = question.batch // workers if kind == STRONG else question.batch
            # One worker's share is the same in both.
            if (workers, share) not in measured:
                settings = question.settings(share * workers)
                measured[workers, share] = on_workers(
                    measure_work, workers, _DATA, settings, share, question.rounds, threads
                )
            found.append((workers, measured[workers, share]))
            rows.append(Row(kind, workers, share, *(_work(kind, found, which) for which in (0, 1))))
    device = device_name(default_device()) if on_gpu else "CPU"
    return Measurement(question, device, threads, rows)


def _work(kind: str, found: Sequence[tuple[int, Timed]], which: int) -> Work:
    (fewest, first), (workers, last) = found[0], found[-1]
    seconds, communication = last[which]
    ratio = statistics.median(first[which][0]) / statistics.median(seconds)
    return Work(seconds, ratio * fewest / workers if kind == STRONG else ratio, communication)
