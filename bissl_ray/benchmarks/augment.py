"""Augmentation: photographs per second and core, as torchvision's transforms, compiled, and batched on the device."""

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from rich.console import Group
from rich.table import Table
from rich.text import Text

from bissl_ray.benchmarks.device import device_name
from bissl_ray.benchmarks.images import InMemory, write_photographs
from bissl_ray.benchmarks.input import Way
from bissl_ray.benchmarks.torchvision_views import chained_crop, chained_views
from bissl_ray.data import get_dataset
from bissl_ray.data.machine import processors
from bissl_ray.data.nested import each_tensor, stacked
from bissl_ray.data.photographs import RandomCrop, Views, pretext_views, random_crop
from bissl_ray.data.transforms import InSteps
from bissl_ray.errors import BadInputError
from bissl_ray.training.clock import now
from bissl_ray.training.worker import alone

CHAIN: Final = "torchvision's transforms"
COMPILED: Final = "compiled, in the loader"
CUT: Final = "the loader's part of what follows"
DEVICE: Final = "batched, on the device"


@dataclass(frozen=True)
class Question:
    """What to measure: see `bissl-ray bench augment --help`."""

    stream: str
    size: int
    count: int
    image_size: int
    batch: int
    threads: int
    rounds: int


@dataclass(frozen=True)
class Measurement:
    """All ways, and what they were measured on."""

    question: Question
    device: str
    ways: list[Way]


def measure_augment(question: Question) -> Measurement:
    """Augment the same photographs in each way in turn, from decoded pixels to what the network takes.

    Raises:
        BadInputError: there are fewer photographs than in a batch, or fewer processors than threads.
    """
    if question.count < question.batch:
        raise BadInputError(
            f"a batch of {question.batch} from {question.count} photographs: raise --count, or lower --batch"
        )
    if question.threads > processors():
        raise BadInputError(f"--threads {question.threads}: found {processors()} processors; expected at most so many")
    with tempfile.TemporaryDirectory(prefix="bissl-") as folder:
        images = InMemory.of(write_photographs(Path(folder), question.count, question.size))
    device = alone().device
    before = torch.get_num_threads()
    torch.set_num_threads(question.threads)
    try:
        ways = _ways(question)
        batches = [range(first, first + question.batch) for first in range(0, question.count, question.batch)]
        batches = [batch for batch in batches if batch.stop <= question.count]
        for way in ways.values():
            _rate(way, images, batches[:1], device)
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(question.rounds):
            for name, way in ways.items():
                rates[name].append(_rate(way, images, batches, device))
        named = device_name(device)
    finally:
        torch.set_num_threads(before)
    first = rates[CHAIN]
    return Measurement(
        question,
        named,
        [
            Way(name, found, statistics.median(rate / other for rate, other in zip(found, first, strict=True)))
            for name, found in rates.items()
        ],
    )


def _ways(question: Question) -> dict[str, InSteps]:
    spec, side = get_dataset("cars"), question.image_size
    if question.stream == "train":
        return {
            CHAIN: InSteps(chained_crop(spec, side), stacked, _as_it_is),
            COMPILED: random_crop(spec, side).in_steps("loader"),
            **_on_device(random_crop(spec, side)),
        }
    first, second = chained_views(spec, side)
    ours = pretext_views(spec, side)
    return {
        CHAIN: InSteps(lambda image: (first(image), second(image)), stacked, _as_it_is),
        COMPILED: ours.in_steps("loader"),
        **_on_device(ours),
    }


def _on_device(transform: Views | RandomCrop) -> dict[str, InSteps]:
    steps = transform.in_steps("device")
    return {CUT: InSteps(steps.prepare, steps.collate, _as_it_is), DEVICE: steps}


def _as_it_is(batch: Any) -> Any:
    return batch


def _rate(way: InSteps, images: InMemory, batches: list[range], device: torch.device) -> float:
    torch.manual_seed(0)
    begin = now(device)
    for batch in batches:
        drawn = way.collate([way.prepare(images[index]) for index in batch])
        way.finish(each_tensor(drawn, lambda tensor: tensor.to(device, non_blocking=True)))
    return sum(len(batch) for batch in batches) / (now(device) - begin)


def augment_table(measured: Measurement) -> Group:
    """What was measured, a row for each way, and how to read them."""
    question = measured.question
    drawn = "one augmented image" if question.stream == "train" else "two views"
    threads = "1 thread" if question.threads == 1 else f"{question.threads} threads"
    head = Text(
        f"{question.count} photographs of {question.size} px, decoded; {drawn} of {question.image_size} px each, "
        f"batch {question.batch}; {threads} of the CPU; device: {measured.device}"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("way")
    table.add_column("photographs per second", justify="right")
    table.add_column("of the first's", justify="right")
    for way in measured.ways:
        table.add_row(way.name, f"{way.rate:,.0f}", f"{way.ratio:.2f}x")
    foot = Text(
        f"\nFrom decoded pixels to normalised float32 on the device, in one process. Medians of {question.rounds} "
        "rounds, the ways in turn.",
        style="dim",
    )
    return Group(head, Text(), table, foot)
