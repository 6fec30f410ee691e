"""Batches for training and evaluation: deterministic, resumable, decoded in the worker or beside it.

What a sample looks like is a pure function of (seed, stream, epoch, index): torch's CPU generator is seeded
from these before each image and put back after the batch. So neither the number of workers, nor that of
loader processes, nor an interruption changes a bit, and training's own random numbers are not disturbed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset

from bissl_ray.data.loader_processes import die_with_parent, received, sent, start_server
from bissl_ray.data.machine import processors
from bissl_ray.data.nested import stacked
from bissl_ray.data.sampling import ALONE, EveryImageOnce, Key, RandomBatches, Share, Stream, derived_seed
from bissl_ray.data.spec import Images, Labelled, Target
from bissl_ray.errors import BadInputError


@dataclass(frozen=True)
class OfPair:
    """A function of an image and its target as one of the pair that `Labelled` gives."""

    prepare: Callable[[Any, Target], Any]

    def __call__(self, pair: tuple[Any, Target]) -> Any:
        """Prepare a sample."""
        return self.prepare(*pair)


@dataclass(frozen=True)
class Samples:
    """What batches are made of; picklable, for loader processes get a copy."""

    source: Images | Labelled
    prepare: Callable[[Any], Any]
    """From an item of the source to a sample: its random numbers come from torch's default CPU generator."""
    collate: Callable[[Sequence[Any]], Any] = stacked
    """From some samples to a batch."""


class _Drawn(NamedTuple):
    """A batch on its way out of a loader, or why there is none."""

    batch: Any
    error: BadInputError | None = None


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch's operations run on one thread, as loader processes do, for the duration of a `with` block.

    On single images threads gain nothing, and on a busy machine each operation waits for the slowest: two views of
    a 28 x 28 drawing took 25 times as long on two threads, on a machine of two cores that had other work.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class _Seeded(Dataset[Any]):
    samples: Samples
    seed: int
    stream: str

    def __getitems__(self, keys: list[Key]) -> _Drawn:
        """Prepare one batch; DataLoader asks for it as a whole.

        A BadInputError is handed back, not raised: from a loader process, DataLoader would
        raise it again with a traceback in its message.
        """
        drawn = []
        try:
            with torch.random.fork_rng(devices=[]), _one_thread():
                for epoch, index in keys:
                    # Not torch.manual_seed: that would also reseed the accelerator.
                    torch.default_generator.manual_seed(derived_seed(self.seed, self.stream, epoch, index))
                    drawn.append(self.samples.prepare(self.samples.source[index]))
        except BadInputError as error:
            return _Drawn(None, error)
        return _Drawn(sent(self.samples.collate(drawn)))


def _unchanged(drawn: Any) -> Any:
    return drawn


def _data_loader(samples: _Seeded, keys: Iterable[list[Key]], processes: int) -> DataLoader[Any]:
    """Put a DataLoader around samples."""
    if processes < 0:
        raise BadInputError(f"loader_processes is {processes}; give 0 (decode in the worker) or more")
    # More than there are processors only share them; torch warns of it.
    processes = min(processes, processors())
    if processes > 0:
        start_server()
    return DataLoader(
        samples,
        batch_sampler=keys,
        num_workers=processes,
        collate_fn=_unchanged,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=die_with_parent if processes > 0 else None,
        multiprocessing_context="forkserver" if processes > 0 else None,
        persistent_workers=processes > 0,
        generator=torch.Generator(),
    )


class _Closeable:
    """Holds the only references to a DataLoader, so that letting go ends its processes."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader: DataLoader[Any] | None = loader

    def close(self) -> None:
        """End the loader processes; no batch comes after this. Closing twice is fine."""
        self._loader = None

    def _checked(self, drawn: _Drawn) -> Any:
        if drawn.error is not None:
            self.close()
            raise drawn.error
        return received(drawn.batch)


class EndlessBatches(_Closeable, Iterator[Any]):
    """An infinite iterator over batches. Call `close` when done with it."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        self._batches: Iterator[Any] = iter(loader)

    def __next__(self) -> Any:
        """Return the next batch.

        Raises:
            BadInputError: an image can't be decoded; the message names it.
        """
        return self._checked(next(self._batches))

    def close(self) -> None:
        """End the loader processes; no batch comes after this. Closing twice is fine."""
        self._batches = iter(())
        super().close()


class EvaluationBatches(_Closeable, Iterable[Any]):
    """A finite pass over batches each time it is iterated over, by the same loader processes."""

    def __iter__(self) -> Iterator[Any]:
        """Go through every batch once; go to the end of one pass before starting another.

        Raises:
            BadInputError: an image can't be decoded; the message names it.
        """
        if self._loader is not None:
            for batch in self._loader:
                yield self._checked(batch)


def endless_batches(samples: Samples, stream: Stream, share: Share = ALONE, processes: int = 0) -> EndlessBatches:
    """Draw batches at random, for ever, on the CPU.

    Args:
        samples: what they are made of.
        stream: which batches.
        share: this worker's part of each.
        processes: decoding processes beside the worker; 0 decodes in the worker.

    Raises:
        BadInputError: fewer images or a smaller batch than workers.
    """
    keys = RandomBatches(len(samples.source), stream, share)
    return EndlessBatches(_data_loader(_Seeded(samples, stream.seed, stream.name), keys, processes))


def evaluation_batches(samples: Samples, batch: int, share: Share = ALONE, processes: int = 0) -> EvaluationBatches:
    """Go through a split once, in order; arguments as of `endless_batches`.

    Over all workers each image occurs exactly once; a worker may get fewer than another, or none.
    """
    keys = EveryImageOnce(len(samples.source), batch, share)
    return EvaluationBatches(_data_loader(_Seeded(samples, 0, "evaluation"), keys, processes))
