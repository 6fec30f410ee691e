"""Tasks: what an alternation of BiSSL costs with a detector above, beside a classifier on images of the same side."""

import statistics
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import Any

import torch

from bissl_ray.benchmarks.device import device_name
from bissl_ray.benchmarks.memory import peak_bytes
from bissl_ray.benchmarks.settings import bench_settings
from bissl_ray.bilevel import BilevelTrainer, Level
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.settings import Settings
from bissl_ray.downstream import check_task
from bissl_ray.errors import BadInputError
from bissl_ray.progress import Silent
from bissl_ray.training.clock import now
from bissl_ray.training.curvature import exact_curvature, proximity_weights
from bissl_ray.training.data import TrialData
from bissl_ray.training.models import Models
from bissl_ray.training.precision import autocast, training_arithmetic
from bissl_ray.training.worker import Worker, alone

DATASETS = {"classification": "digits", "detection": "digits_scenes"}
"""Real images that ship with the program, resized to the side that is asked for."""


@dataclass(frozen=True)
class Question:
    """What to measure: see `bissl-ray bench tasks --help`."""

    backbone: str
    detector: str
    size: int
    lower_batch: int
    upper_batch: int
    lower_steps: int
    upper_steps: int
    rounds: int

    def settings(self) -> Settings:
        """The settings of both (raises BadInputError: there are no such)."""
        return bench_settings(
            backbone=self.backbone,
            detector=self.detector,
            image_size=self.size,
            detection_side=self.size,
            detection_side_low=self.size,
            lower_batch=self.lower_batch,
            upper_batch=self.upper_batch,
            lower_steps=self.lower_steps,
            upper_steps=self.upper_steps,
            lower_lr=0.01,
            upper_lr=1e-3,
            loader_processes=0,
        )


@dataclass(frozen=True)
class Row:
    """One task.

    Attributes:
        task: its name.
        seconds: of each alternation that was timed.
        images: that an alternation's steps and its Hessian take, of both levels.
        peak_bytes: most bytes of tensors alive at once in one, beside models and batches.
    """

    task: str
    seconds: list[float]
    images: int
    peak_bytes: int

    @property
    def rate(self) -> float:
        """Images per second, the median over alternations."""
        return self.images / statistics.median(self.seconds)


@dataclass(frozen=True)
class Measurement:
    """Both tasks, and what they were measured on."""

    question: Question
    device: str
    rows: list[Row]


def measure_tasks(question: Question) -> Measurement:
    """Run alternations of both in turn, on batches that are drawn before.

    Raises:
        BadInputError: no such backbone, or one without parts to detect with, or batches larger than the data.
    """
    worker, settings = alone(), question.settings()
    running = {task: _Alternations(name, settings, worker) for task, name in DATASETS.items()}
    with training_arithmetic(settings.precision):
        for each in running.values():
            each.run()
        seconds: dict[str, list[float]] = {task: [] for task in running}
        for _ in range(question.rounds):
            for task, each in running.items():
                seconds[task].append(each.timed())
        rows = [
            Row(task, seconds[task], each.images, peak_bytes(worker.device, each.run)) for task, each in running.items()
        ]
    return Measurement(question, device_name(worker.device), rows)


class _Alternations:
    """One task's trainer with batches in memory."""

    def __init__(self, dataset: str, settings: Settings, worker: Worker) -> None:
        torch.manual_seed(0)
        self._device = worker.device
        data = TrialData(DataChoice(dataset), settings, 0, worker, Silent().send)
        check_task(data.spec, settings)
        for flag, wanted, pool in (
            ("--lower-batch", settings.lower_batch, data.splits.pretext),
            ("--upper-batch", settings.upper_batch, data.splits.train),
        ):
            if wanted > len(pool):
                raise BadInputError(f"a batch of {wanted} from the {len(pool)} images of {dataset}: lower {flag}")
        self.images = settings.lower_batch * (settings.lower_steps + 1) + settings.upper_batch * settings.upper_steps
        models = Models.build(settings, worker.device, data.spec.task, data.splits.classes)
        with (
            data.pretext_batches("bench", settings.lower_batch, 0) as lower,
            data.labelled("bench", settings.upper_batch, 0) as upper,
        ):
            self._lower: Any = cycle(list(islice(lower, settings.lower_steps + 1)))
            self._upper: Any = cycle(list(islice(upper, settings.upper_steps)))

        def loss(of: Any, backbone: Any, batch: Any) -> torch.Tensor:
            with autocast(settings.precision, worker.device):
                found: torch.Tensor = of.loss(backbone, batch)
            return found

        self._trainer: BilevelTrainer[Any, Any] = BilevelTrainer(
            Level(
                models.lower,
                models.pretext,
                partial(loss, models.pretext),
                after_step=partial(models.pretext.after_step, models.lower),
                curvature=exact_curvature(settings, models, settings.lower_batch),
            ),
            Level(models.upper, models.downstream, partial(loss, models.downstream)),
            settings,
            proximity_weights(settings, models.lower),
        )

    def run(self) -> None:
        """One alternation."""
        self._trainer.alternation(self._lower, self._upper)

    def timed(self) -> float:
        """Seconds of one."""
        begin = now(self._device)
        self.run()
        return now(self._device) - begin
