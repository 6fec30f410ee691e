"""Input: images per second from files, from the cache of decoded images, and from memory."""

import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bissl_ray.benchmarks.images import InMemory, scratch_cache, write_photographs
from bissl_ray.data import DataChoice, DatasetSpec, Images, get_dataset, open_data
from bissl_ray.data.cache.fill import open_or_fill
from bissl_ray.data.cache.images import CachedImages
from bissl_ray.data.cache.news import OnStderr
from bissl_ray.data.files.sources import ImageFiles
from bissl_ray.data.loaders import EndlessBatches, Samples, endless_batches
from bissl_ray.data.machine import processors
from bissl_ray.data.sampling import Stream
from bissl_ray.data.transforms import pretext_transform, train_transform
from bissl_ray.errors import BadInputError

FILES, FIRST, SECOND, MEMORY = "decode each time", "cache, first epoch", "cache, from the second epoch", "in memory"
_PREFETCHED = 2
"""Batches that a loader process prepares ahead (torch's default)."""
_REST = 1.5
"""How long loader processes are given for what they prepare ahead, in the time that it should take."""
_NO_LIMIT = 2**60


@dataclass(frozen=True)
class Question:
    """What to measure: see `bissl-ray bench input --help`.

    Attributes:
        data: a dataset of image files; None: photographs that ship with scikit-learn, cut and resized.
        stream: "train" (one augmented image) or "pretext" (two views).
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
    """One way to come by images.

    Attributes:
        name: in words.
        rates: images per second of each turn. The first epoch from the cache has one, computed: the filling as it was
            measured, then an epoch at the second one's median rate.
        ratio: to the rate of the way that others are held against in the same turn, the median over turns; of the first
            epoch, to its median.
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


def measure_input(question: Question) -> Measurement:
    """Draw batches in each way in turn, so that whatever else the machine does meets all alike.

    The cache is one of its own, in the usual cache's folder, and gone at the end. Files are read once before, so that
    none is slower for coming first.

    Raises:
        BadInputError: the dataset is not there, holds no image files, or fewer than are in a batch.
    """
    with scratch_cache() as folder:
        files, spec = _files(question, folder)
        if question.batch > len(files):
            raise BadInputError(
                f"a batch of {question.batch} from {len(files)} images: raise --count, or lower --batch"
            )
        memory = InMemory.of(files)
        begin = time.perf_counter()
        decoded = open_or_fill(files, _NO_LIMIT, OnStderr())
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
            memory.pixels.numel() / 3 / len(files),
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


def _files(question: Question, folder: Path) -> tuple[ImageFiles, DatasetSpec]:
    if question.data is None:
        return write_photographs(folder, question.count, question.size), get_dataset("cars")
    source = open_data(question.data).train.images
    if not isinstance(source, ImageFiles):
        raise BadInputError(
            f"{question.data.dataset} is not a dataset of image files, so there is nothing to decode; give another "
            "--dataset, or none for photographs that ship with scikit-learn"
        )
    return source.select(range(min(question.count, len(source)))), get_dataset(question.data.dataset)


def _batches(source: Images, spec: DatasetSpec, question: Question) -> EndlessBatches:
    transform = {"train": train_transform, "pretext": pretext_transform}[question.stream]
    samples = Samples(source, transform(spec, question.image_size))
    return endless_batches(samples, Stream(question.stream, 0, question.batch), processes=question.processes)


def _seconds(batches: EndlessBatches, count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        next(batches)
    return time.perf_counter() - begin


def _turns(sources: Mapping[str, Images], spec: DatasetSpec, question: Question) -> dict[str, list[float]]:
    """Images per second of each way in each round."""
    batch = question.batch
    # What the loader processes prepared while others had their turn is not timed.
    ahead = _PREFETCHED * min(question.processes, processors())
    with ExitStack() as stack:
        streams = {
            name: stack.enter_context(closing(_batches(source, spec, question))) for name, source in sources.items()
        }
        counts = {}
        for name, batches in streams.items():
            _seconds(batches, ahead + 1)
            counts[name] = max(1, round(question.seconds / _seconds(batches, 2) * 2))
        rates: dict[str, list[float]] = {name: [] for name in streams}
        for turn in range(question.rounds):
            order = list(streams)
            for name in order[turn % len(order) :] + order[: turn % len(order)]:
                _seconds(streams[name], ahead)
                took = _seconds(streams[name], counts[name]) / counts[name]
                rates[name].append(batch / took)
                # Its loader processes go on until they are as far ahead as before; the next one's turn waits for that.
                time.sleep(_REST * ahead * took)
    return rates
