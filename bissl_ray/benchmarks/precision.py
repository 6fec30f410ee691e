"""Precision: the loss curve of pretraining in each arithmetic beside float32's, from the same weights and batches."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import torch
from torch import nn

from bissl_ray.benchmarks.settings import bench_settings
from bissl_ray.bilevel.level import trainable
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError
from bissl_ray.optim import LARS, Stepper, WarmupCosine, lower_parameter_groups
from bissl_ray.progress import Silent
from bissl_ray.training.clock import now
from bissl_ray.training.data import TrialData
from bissl_ray.training.models import Models
from bissl_ray.training.precision import Precision, autocast, training_arithmetic
from bissl_ray.training.worker import Worker, alone

_DATASET: Final = "digits"
_MARKS: Final = 8


@dataclass(frozen=True)
class Question:
    """What to measure: see `bissl-ray bench precision --help`."""

    backbone: str
    pretext: str
    size: int
    batch: int
    steps: int
    lr: float
    seed: int

    def settings(self, precision: Precision) -> Settings:
        """Those of a pretraining in some arithmetic (raises BadInputError: there are no such)."""
        return bench_settings(
            backbone=self.backbone,
            pretext=self.pretext,
            image_size=self.size,
            pretrain_batch=self.batch,
            precision=precision,
            loader_processes=0,
        )


@dataclass(frozen=True)
class Row:
    """One arithmetic.

    Attributes:
        precision: the setting.
        features: type of what the backbone gave in the steps.
        losses: of every step.
        deviation: largest |loss − float32's| / |float32's| of the curve's parts, each a mean over some steps.
        step_ms: milliseconds of a step, the median.
        speed: float32's over this one's.
    """

    precision: str
    features: str
    losses: list[float]
    deviation: float
    step_ms: float
    speed: float

    @property
    def curve(self) -> list[float]:
        """The losses' means over equal parts of the run, the last one at its end."""
        return _curve(self.losses)


@dataclass(frozen=True)
class Measurement:
    """All of them, float32 first, and what they were measured on."""

    question: Question
    device: str
    rows: list[Row]


def measure_precision(question: Question) -> Measurement:
    """Pretrain on the digits in each arithmetic that the device has.

    Raises:
        BadInputError: no such settings, or a batch larger than the data.
    """
    worker = alone()
    on_gpu = worker.device.type == "cuda"
    precisions: tuple[Precision, ...] = ("float32", "tf32", "bfloat16") if on_gpu else ("float32", "bfloat16")
    rows: list[Row] = []
    for precision in precisions:
        losses, seconds, features = _pretrained(question, precision, worker)
        row = Row(precision, features, losses, 0.0, 1e3 * statistics.median(seconds), 1.0)
        rows.append(_against(rows[0], row) if rows else row)
    return Measurement(question, torch.cuda.get_device_name(worker.device) if on_gpu else "CPU", rows)


def _against(first: Row, row: Row) -> Row:
    deviations = [abs(loss - exact) / abs(exact) for loss, exact in zip(row.curve, first.curve, strict=True)]
    return replace(row, deviation=max(deviations), speed=first.step_ms / row.step_ms)


def _curve(losses: list[float]) -> list[float]:
    marks = sorted({len(losses) * part // _MARKS for part in range(_MARKS + 1)})
    return [statistics.fmean(losses[begin:end]) for begin, end in pairwise(marks)]


def _pretrained(question: Question, precision: Precision, worker: Worker) -> tuple[list[float], list[float], str]:
    """Losses and seconds of the steps, and the type of the features that they saw."""
    settings, device = question.settings(precision), worker.device
    data = TrialData(DataChoice(_DATASET), settings, question.seed, worker, Silent().send)
    if question.batch > len(data.splits.pretext):
        raise BadInputError(
            f"the batch is {question.batch} images: expected at most {len(data.splits.pretext)}, all that {_DATASET} "
            "has; lower --batch"
        )
    torch.manual_seed(question.seed)
    models = Models.build(settings, device)
    parameters = [*trainable(models.lower), *models.pretext.head_parameters()]
    schedule = WarmupCosine(question.steps, question.steps // 10)
    stepper = Stepper(_optimizer(models, question.lr), parameters, schedule, None)
    types: set[str] = set()
    hook = models.lower.register_forward_hook(lambda _module, _images, given: types.add(str(given.dtype)))
    losses: list[torch.Tensor] = []
    seconds: list[float] = []
    with training_arithmetic(precision), data.pretext_batches("pretrain", question.batch, 0) as batches:
        for number in range(question.steps):
            seconds.append(_step(models, stepper, batches, settings, device, losses))
            with torch.no_grad():
                models.pretext.after_step(models.lower, number / question.steps)
    hook.remove()
    return [float(loss) for loss in losses], seconds, ", ".join(sorted(types)).replace("torch.", "")


def _step(
    models: Models,
    stepper: Stepper,
    batches: Iterator[Any],
    settings: Settings,
    device: torch.device,
    losses: list[torch.Tensor],
) -> float:
    """Take one, and return its seconds without those of drawing the batch."""
    batch = next(batches)
    begin = now(device)
    with autocast(settings.precision, device):
        loss = models.pretext.loss(models.lower, batch)
    stepper.step(torch.autograd.grad(loss, stepper.parameters))
    losses.append(loss.detach())
    return now(device) - begin


def _optimizer(models: Models, lr: float) -> LARS:
    named: list[tuple[str, nn.Parameter]] = [*models.lower.named_parameters(), *models.pretext.named_parameters()]
    wanted = [(name, parameter) for name, parameter in named if parameter.requires_grad]
    return LARS(lower_parameter_groups(wanted, 1e-6, True), lr=lr)
