"""Training: how much of the device each stage of a trial uses, with its real data and with batches in memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import torch

from bissl_ray.benchmarks.device import device_name, matmul_rate
from bissl_ray.benchmarks.gauges import Clock, Flop, Kernels, Peak, Spent, read
from bissl_ray.benchmarks.stage_rounds import (
    Batches,
    StageRounds,
    check_batches,
    photographs,
    stage_settings,
    stages_of,
    trial_for,
)
from bissl_ray.data.machine import processors
from bissl_ray.training.precision import Precision, training_arithmetic
from bissl_ray.training.worker import Worker, alone

_WIDE: Final = "float32"
_NARROW: Final = ("tf32", "bfloat16")
"""What `gauges.Flop` calls arithmetics of fewer bits."""
_PREFETCHED = 2
"""Batches that a loader process prepares ahead (torch's default)."""


@dataclass(frozen=True)
class Question:
    """What to measure: see `bissl-ray bench train --help`."""

    backbone: str
    pretext: str
    precision: Precision
    size: int
    batch: int
    steps: int
    rounds: int
    processes: int
    photographs: int
    side: int


@dataclass(frozen=True)
class Pace:
    """How fast a stage goes with batches from one place.

    Attributes:
        seconds: of each round.
        rate: images per second over all rounds.
        busy: on CUDA the share of the time in which a kernel runs (None: the profiler saw none); on the CPU the time of
            this process on the processors, loader processes not among it, over threads times the time.
        roofline: the time that the counted FLOP would take at the rates of matrix products, over the time; a narrow
            arithmetic at the rate of float32 where that is higher.
    """

    seconds: list[float]
    rate: float
    busy: float | None
    roofline: float


@dataclass(frozen=True)
class Row:
    """A stage, or a part of one.

    Attributes:
        stage: in words.
        images: of a round.
        flop: of a round, by arithmetic.
        peak_bytes: most bytes of tensors alive at once, beside models, optimizers and batches in memory.
        fed: with batches from the trial's loaders.
        held: with batches in memory.
    """

    stage: str
    images: int
    flop: dict[str, int]
    peak_bytes: int
    fed: Pace
    held: Pace


@dataclass(frozen=True)
class Measurement:
    """All stages, and what they were measured on.

    Attributes:
        question: as asked.
        device: its name.
        cores: of the machine, that this process may use.
        matmul_rates: FLOP per second of large matrix products, by arithmetic.
        rows: the stages, in order.
    """

    question: Question
    device: str
    cores: int
    matmul_rates: dict[str, float]
    rows: list[Row]


def measure_train(question: Question) -> Measurement:
    """Run rounds of each stage, from the loaders and then from memory; then one under each gauge.

    Raises:
        BadInputError: no such backbone or pretext, or a batch larger than the images.
    """
    worker = alone()
    settings = stage_settings(
        question.steps,
        question.batch,
        backbone=question.backbone,
        pretext=question.pretext,
        precision=question.precision,
        image_size=question.size,
        loader_processes=question.processes,
    )
    rates: dict[str, float] = {}
    with photographs(question.photographs, question.side) as (folder, data), training_arithmetic(question.precision):
        trial = trial_for(settings, data, folder, worker)
        try:
            check_batches(trial)
            rows = [row for stage in stages_of(trial) for row in _rows(stage, question, worker, rates)]
        finally:
            trial.data.close()
    return Measurement(question, device_name(worker.device), processors(), rates, rows)


def _rows(stage: StageRounds, question: Question, worker: Worker, rates: dict[str, float]) -> Iterator[Row]:
    device = worker.device
    fed = _from_loaders(stage, question, device)
    held_batches = stage.held()

    def round_(next_part: Callable[[], None]) -> None:
        stage.run(*held_batches, next_part)

    read(round_, Clock(device))
    held = [read(round_, Clock(device)) for _ in range(question.rounds)]
    flop, peaks = read(round_, Flop(device)), read(round_, Peak(device))
    kernels = read(round_, Kernels(device)) if device.type == "cuda" else None
    for arithmetic in dict.fromkeys((_WIDE, *(name for part in flop for name in part))):
        if arithmetic not in rates:
            rates[arithmetic] = matmul_rate(device, arithmetic)
    for i, name in enumerate(stage.parts):

        def pace(rounds: Sequence[Sequence[Spent]], i: int = i) -> Pace:
            busy = None if kernels is None else kernels[i]
            return _pace([each[i] for each in rounds], stage.images[i], busy, _ideal(flop[i], rates))

        yield Row(name, stage.images[i], dict(flop[i]), peaks[i], pace(fed), pace(held))


def _from_loaders(stage: StageRounds, question: Question, device: torch.device) -> list[list[Spent]]:
    """The rounds' times with the trial's own loaders, which are no batch ahead when they begin."""
    with ExitStack() as stack:
        streams: list[Batches] = [
            stack.enter_context(draw()) if count else iter(())
            for draw, count in zip(stage.draw, stage.drawn, strict=True)
        ]

        def round_(next_part: Callable[[], None]) -> None:
            stage.run(streams[0], streams[1], next_part)

        read(round_, Clock(device))
        ahead = _PREFETCHED * min(question.processes, processors())
        for stream, count in zip(streams, stage.drawn, strict=True):
            for _ in range(ahead if count else 0):
                next(stream)
        return [read(round_, Clock(device)) for _ in range(question.rounds)]


def _ideal(flop: Mapping[str, int], rates: Mapping[str, float]) -> float:
    """Seconds at the rates of matrix products; a narrow arithmetic's is float32's at least, which it can be done in.

    Processors without bfloat16 of their own multiply matrices in it many times slower than they convolve in it.
    """
    wide = rates[_WIDE]
    return sum(
        count / (max(rates[arithmetic], wide) if arithmetic in _NARROW else rates[arithmetic])
        for arithmetic, count in flop.items()
    )


def _pace(rounds: Sequence[Spent], images: int, kernels: float | None, ideal: float) -> Pace:
    """Of rounds of so many images, in whose kernels a device was so many seconds, and which ideally take `ideal`."""
    seconds = sum(spent.wall for spent in rounds)
    busy: float | None
    if kernels is None:
        busy = sum(spent.processors for spent in rounds) / (seconds * torch.get_num_threads())
    else:
        busy = len(rounds) * kernels / seconds if kernels else None
    walls: list[Any] = [spent.wall for spent in rounds]
    return Pace(walls, len(rounds) * images / seconds, busy, len(rounds) * ideal / seconds)
