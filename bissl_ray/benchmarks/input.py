"""Input: images per second from files, from the cache of decoded images, and from memory."""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Group
from rich.table import Table
from rich.text import Text
from sklearn.datasets import load_sample_images
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from bissl_ray.data import (
    DataChoice,
    DatasetSpec,
    EndlessBatches,
    ImageSource,
    get_dataset,
    pretext_batches,
    train_batches,
)
from bissl_ray.data.cache import CachedImages
from bissl_ray.data.cache_fill import open_or_fill
from bissl_ray.data.cache_folder import cache_folder
from bissl_ray.data.sources import ImageFiles
from bissl_ray.data.spec import UNLABELLED, Label
from bissl_ray.errors import BadInputError

FILES, FIRST, SECOND, MEMORY = "decode each time", "cache, first epoch", "cache, from the second epoch", "in memory"
_PREFETCHED = 2
"""Batches that a loader process prepares ahead (torch's default)."""
_NO_LIMIT = 2**60


@dataclass(frozen=True)
class Question:
    """What to measure: see `bissl-ray bench input --help`.

    Attributes:
        data: a dataset of image files; None: photographs that ship with scikit-learn, cut and resized.
        size: longer side of those, pixels.
        count: images, at most.
        stream: "train" (one augmented image) or "pretext" (two views).
        image_size: side of what a network is fed, pixels.
        batch: images per batch.
        processes: loader processes.
        rounds: turns of each way.
        seconds: about how long a turn takes.
    """

    data: DataChoice | None
    size: int
    count: int
    stream: str
    image_size: int
    batch: int
    processes: int
    rounds: int
    seconds: float


@dataclass(frozen=True)
class Way:
    """One way to come by decoded images.

    Attributes:
        name: in words.
        rates: images per second of each turn.
        ratio: to the rate from memory in the same turn, the median over turns.
    """

    name: str
    rates: list[float]
    ratio: float

    @property
    def rate(self) -> float:
        """Images per second, the median over turns."""
        return statistics.median(self.rates)


@dataclass(frozen=True)
class Measurement:
    """All ways, and what they were measured on.

    Attributes:
        question: as asked.
        images: how many.
        pixels: of a decoded image, the mean.
        cache_bytes: of the cache.
        filling_seconds: that filling the cache took, part of its first epoch.
        ways: slowest kind first; the last is from memory.
    """

    question: Question
    images: int
    pixels: float
    cache_bytes: int
    filling_seconds: float
    ways: list[Way]


@dataclass(frozen=True)
class InMemory:
    """Decoded images of any size as tensors, uint8 (3, H, W)."""

    images: list[Tensor]
    labels: list[Label]
    names: list[str]

    @classmethod
    def of(cls, files: ImageFiles) -> "InMemory":
        """Decode files."""
        images = [F.pil_to_tensor(files[index][0]) for index in range(len(files))]
        return cls(images, files.labels, [files.name(index) for index in range(len(files))])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Label]:
        return self.images[index], self.labels[index]

    def name(self, index: int) -> str:
        """The path of the file."""
        return self.names[index]

    def select(self, indices: Sequence[int]) -> "InMemory":
        """The images of these indices."""
        images, labels, names = ([part[i] for i in indices] for part in (self.images, self.labels, self.names))
        return InMemory(images, labels, names)  # type: ignore[arg-type]

    def hidden(self) -> "InMemory":
        """The same images without labels."""
        return replace(self, labels=[UNLABELLED] * len(self))


def measure_input(question: Question) -> Measurement:
    """Draw batches in each way in turn, so that whatever else the machine does meets all alike.

    The cache is one of its own, in the usual cache's folder, and gone at the end. Files are read once before, so that
    none is slower for coming first.

    Raises:
        BadInputError: the dataset is not there, or holds no image files.
    """
    with _scratch() as folder:
        files, spec = _files(question, folder)
        memory = InMemory.of(files)
        begin = time.perf_counter()
        decoded = open_or_fill(files, _NO_LIMIT)
        filling = time.perf_counter() - begin
        if decoded is None or not decoded.complete:
            raise BadInputError(
                f"there is no room for the decoded images in {folder.parent}; lower --count, or set BISSL_RAY_CACHE to "
                "a folder on another disk"
            )
        cached = CachedImages(files, decoded, np.arange(len(files)))
        turns = _turns({FILES: files, SECOND: cached, MEMORY: memory}, spec, question)
        # Of the first epoch, what filling doesn't take goes as fast as the others.
        first = len(files) / (filling + len(files) / statistics.median(turns[SECOND]))
        return Measurement(
            question,
            len(files),
            statistics.fmean(image[0].numel() for image in memory.images),
            decoded.path.stat().st_size,
            filling,
            [
                _way(FILES, turns[FILES], turns[MEMORY]),
                Way(FIRST, [first], first / statistics.median(turns[MEMORY])),
                _way(SECOND, turns[SECOND], turns[MEMORY]),
                _way(MEMORY, turns[MEMORY], turns[MEMORY]),
            ],
        )


def _way(name: str, rates: list[float], memory: list[float]) -> Way:
    return Way(name, rates, statistics.median(rate / other for rate, other in zip(rates, memory, strict=True)))


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder on the disk of the cache, for its own cache; $BISSL_RAY_CACHE meanwhile."""
    home = cache_folder().parent
    home.mkdir(parents=True, exist_ok=True)
    before = os.environ.get("BISSL_RAY_CACHE")
    with tempfile.TemporaryDirectory(dir=home, prefix="bench-") as folder:
        os.environ["BISSL_RAY_CACHE"] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["BISSL_RAY_CACHE"]
            else:
                os.environ["BISSL_RAY_CACHE"] = before


def _files(question: Question, folder: Path) -> tuple[ImageFiles, DatasetSpec]:
    if question.data is None:
        return _written(question, folder), get_dataset("cars")
    source = question.data.open().train
    if not isinstance(source, ImageFiles):
        raise BadInputError(
            f"{question.data.dataset} is not a dataset of image files, so there is nothing to decode; give another "
            "--dataset, or none for photographs that ship with scikit-learn"
        )
    return source.select(range(min(question.count, len(source)))), question.data.spec


def _written(question: Question, folder: Path) -> ImageFiles:
    """Write JPEG files: parts of two real photographs, so that they cost what photographs cost."""
    draw = np.random.RandomState(0)
    photographs = [Image.fromarray(image) for image in load_sample_images().images]
    names = [f"{number:05d}.jpg" for number in range(question.count)]
    for number, name in enumerate(names):
        whole = photographs[number % len(photographs)]
        width, height = (int(side * draw.uniform(0.6, 1)) for side in whole.size)
        left, top = int(draw.uniform(0, whole.width - width)), int(draw.uniform(0, whole.height - height))
        scale = question.size / max(width, height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        part = whole.resize(size, box=(left, top, left + width, top + height))
        part.save(folder / name, quality=90)
    return ImageFiles(folder, names, [0] * len(names))


@contextmanager
def _opened(source: ImageSource, spec: DatasetSpec, question: Question) -> Iterator[EndlessBatches]:
    stream = {"train": train_batches, "pretext": pretext_batches}[question.stream]
    batches = stream(
        source, spec, image_size=question.image_size, batch=question.batch, seed=0, processes=question.processes
    )
    try:
        yield batches
    finally:
        batches.close()


def _seconds(batches: EndlessBatches, count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        next(batches)
    return time.perf_counter() - begin


def _turns(sources: Mapping[str, ImageSource], spec: DatasetSpec, question: Question) -> dict[str, list[float]]:
    """Images per second of each way in each round."""
    batch = min(question.batch, len(next(iter(sources.values()))))
    # What the loader processes prepared while others had their turn is not timed.
    ahead = _PREFETCHED * question.processes
    with ExitStack() as stack:
        streams = {name: stack.enter_context(_opened(source, spec, question)) for name, source in sources.items()}
        counts = {}
        for name, batches in streams.items():
            _seconds(batches, ahead + 1)
            counts[name] = max(1, round(question.seconds / _seconds(batches, 2) * 2))
        rates: dict[str, list[float]] = {name: [] for name in streams}
        for turn in range(question.rounds):
            order = list(streams)
            for name in order[turn % len(order) :] + order[: turn % len(order)]:
                _seconds(streams[name], ahead)
                rates[name].append(batch * counts[name] / _seconds(streams[name], counts[name]))
    return rates


def input_table(measured: Measurement) -> Group:
    """What was measured, the ways, and how to read them."""
    question, side = measured.question, measured.pixels**0.5
    data = "photographs" if question.data is None else question.data.dataset
    drawn = "one augmented image" if question.stream == "train" else "two views"
    processes = f"{question.processes} loader processes" if question.processes else "no loader process"
    head = Text(
        f"{measured.images} images of {data}, as many pixels as {side:.0f} x {side:.0f}; {drawn} of "
        f"{question.image_size} px each, batch {question.batch}, {processes}"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("images")
    table.add_column("per second", justify="right")
    table.add_column("of memory's rate", justify="right")
    for way in measured.ways:
        table.add_row(way.name, f"{way.rate:,.0f}", f"{way.ratio:.1%}")
    foot = Text(
        f"\nThe cache took {measured.filling_seconds:.1f} s to fill and {measured.cache_bytes / 2**20:,.0f} MiB. "
        f"Medians of {question.rounds} turns of about {question.seconds:g} s each, the ways in turn.",
        style="dim",
    )
    return Group(head, Text(), table, foot)
