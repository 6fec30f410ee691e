"""What `bench scaling` times on each of some workers: steps of pretraining, and products of the curvature."""

import statistics
import tempfile
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import torch

from bissl_ray.benchmarks.collectives import InCollectives
from bissl_ray.benchmarks.gauges import Clock, Gauge, Kernels, read
from bissl_ray.benchmarks.stage_rounds import trial_for
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.settings import Settings
from bissl_ray.parallel import frozen_statistics
from bissl_ray.progress import Silent
from bissl_ray.training.curvature import exact_curvature
from bissl_ray.training.data import TrialData
from bissl_ray.training.precision import training_arithmetic
from bissl_ray.training.stages.pretrain import pretraining
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import Worker, alone

_BATCHES: Final = 4

Timed = list[tuple[list[float], float]]
"""Of a step and of a product: seconds of each time, and the share of communication."""


def measure_work(
    worker: Worker, choice: DataChoice, settings: Settings, share: int, rounds: int, threads: int | None
) -> Timed:
    """Time some steps and some products (collective).

    Args:
        worker: this process among the workers.
        choice: the data.
        settings: of the trial; its batches are all workers' shares together.
        share: images of each worker.
        rounds: times that each is timed.
        threads: of each worker; None: as many as it has.
    """
    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        with tempfile.TemporaryDirectory() as folder, training_arithmetic(settings.precision):
            trial = trial_for(settings, choice, Path(folder), worker)
            # Each worker draws images of its own: all together may want more than there are.
            data = TrialData(choice, settings, worker.rank, alone(worker.device), Silent().send)
            with data.pretext_batches("bench", share, 0) as drawn:
                batches = list(islice(drawn, _BATCHES))
            return [
                _timed(_steps(trial, batches), rounds, worker),
                _timed_products(trial, batches[0], share, rounds, worker),
            ]
    finally:
        torch.set_num_threads(before)


def _steps(trial: Trial, batches: list[Any]) -> Callable[[], None]:
    trial.models.lower.train()
    trial.models.pretext.train()
    run, endless = pretraining(trial), cycle(batches)
    return lambda: run.run(endless, [run.step + 1], lambda _: None)


def _timed_products(trial: Trial, batch: Any, share: int, rounds: int, worker: Worker) -> tuple[list[float], float]:
    models = trial.models
    with (
        frozen_statistics(models.lower, models.pretext),
        exact_curvature(trial.settings, models, share)(batch) as H,
    ):
        vector = torch.cat([torch.linspace(-1, 1, p.numel(), device=p.device) for p in H.params])
        return _timed(lambda: H.flat_matvec(vector), rounds, worker)


def _timed(run: Callable[[], object], rounds: int, worker: Worker) -> tuple[list[float], float]:
    def round_(_: Callable[[], None]) -> None:
        run()

    read(round_, Clock(worker.device))
    seconds = [read(round_, Clock(worker.device))[0].wall for _ in range(rounds)]
    gauge: Gauge[float] = (
        Kernels(worker.device, "nccl") if worker.device.type == "cuda" else InCollectives(worker.device)
    )
    spent = statistics.median(read(round_, gauge)[0] for _ in range(rounds))
    return seconds, min(1.0, spent / statistics.median(seconds))
