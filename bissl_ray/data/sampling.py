"""Which images form which batch, and every random number: pure functions of their purpose, the same for any workers."""

import hashlib
from collections.abc import Iterator, Sized
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bissl_ray.errors import BadInputError


def derived_seed(*purpose: int | str) -> int:
    """Hash a purpose, such as (seed, "pretext", epoch, index), to a seed of 64 bits."""
    return int.from_bytes(hashlib.blake2b(repr(purpose).encode(), digest_size=8).digest(), "little")


def permutation(count: int, *purpose: int | str) -> NDArray[np.int64]:
    """Shuffle 0 .. count - 1 as the purpose says.

    Uses numpy's `RandomState`, whose numbers are frozen for good (NEP 19): a split that is drawn
    again under another numpy must be the same split.
    """
    seed = derived_seed(*purpose)
    shuffled = np.random.RandomState([seed & 0xFFFFFFFF, seed >> 32]).permutation(count)
    return shuffled.astype(np.int64, copy=False)


Key = tuple[int, int]
"""An image as drawn: (epoch, index)."""


def global_batch(count: int, batch: int, world_size: int) -> int:
    """Size of the batches really drawn: at most every image once, and equal shares for the workers.

    Raises:
        BadInputError: not one image for each worker.
    """
    size = min(batch, count) // world_size * world_size
    if size == 0:
        raise BadInputError(
            f"a batch of {batch} from {count} images gives none to some of {world_size} workers; "
            "raise the batch or use fewer workers per trial"
        )
    return size


def steps_per_epoch(source: Sized, batch: int, world_size: int = 1) -> int:
    """Count the whole batches in one pass over a source; an incomplete last one is left out.

    Raises:
        BadInputError: not one image for each worker.
    """
    count = len(source)
    return count // global_batch(count, batch, world_size)


def evenly_spread(count: int, among: int) -> list[int]:
    """Indices of so many of `among` images in order, in equal steps: of a split sorted by class, each has its share."""
    return [number * among // count for number in range(count)]


@dataclass(frozen=True)
class Share:
    """Which part of every batch is this worker's."""

    rank: int = 0
    world_size: int = 1


ALONE: Final = Share()
"""All of it."""


@dataclass(frozen=True)
class Stream:
    """An endless stream of global batches: with the images, all that decides which of them, and every random number."""

    name: str
    """Two streams under one seed are independent."""
    seed: int
    batch: int
    """Images per global batch, as wished for; see `global_batch`."""
    first_step: int = 0
    """Batches that an interrupted run has already consumed."""


@dataclass(frozen=True)
class RandomBatches:
    """One worker's shares of a stream's batches, for ever.

    Epoch e goes through the permutation that (seed, name, e) draws; its k-th batch is the k-th slice,
    and worker r takes the r-th of `world_size` equal pieces of that. So all workers together see what
    one worker would see.
    """

    count: int
    """Number of images."""
    stream: Stream
    share: Share = ALONE

    def __post_init__(self) -> None:
        global_batch(self.count, self.stream.batch, self.share.world_size)

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield the keys of each share, from the stream's first step on, for ever."""
        size = global_batch(self.count, self.stream.batch, self.share.world_size)
        own = size // self.share.world_size
        epoch, step = divmod(self.stream.first_step, self.count // size)
        while True:
            order = permutation(self.count, self.stream.seed, self.stream.name, epoch).tolist()
            for start in range(step * size, self.count // size * size, size):
                first = start + self.share.rank * own
                yield [(epoch, index) for index in order[first : first + own]]
            epoch, step = epoch + 1, 0


@dataclass(frozen=True)
class EveryImageOnce:
    """One worker's part of a pass over all images in order; over all workers each occurs once."""

    count: int
    """Number of images."""
    batch: int
    """Images per global batch; a worker takes its share, at least one."""
    share: Share = ALONE

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield the keys of each batch; workers' shares may be uneven or empty."""
        rank, world_size = self.share.rank, self.share.world_size
        first, last = (self.count * (rank + end) // world_size for end in (0, 1))
        own = max(1, self.batch // world_size)
        for start in range(first, last, own):
            yield [(0, index) for index in range(start, min(start + own, last))]
