"""Batches for training and evaluation: deterministic, resumable, decoded in the worker or beside it.

What a sample looks like is a pure function of (seed, stream, epoch, index): torch's CPU generator is seeded
from these before each image and put back after the batch. So neither the number of workers, nor that of
loader processes, nor an interruption changes a bit, and training's own random numbers are not disturbed.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from bissl_ray.data.machine import processors
from bissl_ray.data.sampling import EveryImageOnce, Key, RandomBatches, derived_seed
from bissl_ray.data.spec import DatasetSpec, ImageSource, Label
from bissl_ray.data.transforms import evaluation_transform, pretext_transform, train_transform
from bissl_ray.errors import BadInputError

Batch = tuple[Tensor, Tensor]

_PRELOADED: Final = ["__main__", __name__, "bissl_ray.data.files.sources", "bissl_ray.data.photographs"]
"""What loader processes are forked with: importing torchvision, which the last one does, takes each over a second."""


@dataclass(frozen=True)
class _Views:
    transform: Callable[[Any], Batch]

    def __call__(self, image: Any, _label: Label) -> Batch:
        return self.transform(image)


@dataclass(frozen=True)
class _Labelled:
    transform: Callable[[Any], Tensor]

    def __call__(self, image: Any, label: Label) -> Batch:
        return self.transform(image), torch.tensor(label)


@dataclass(frozen=True)
class _Samples(Dataset[Any]):
    source: ImageSource
    prepare: Callable[[Any, Label], Batch]
    seed: int
    stream: str

    def __getitems__(self, keys: list[Key]) -> Batch | BadInputError:
        """Prepare one batch; DataLoader asks for it as a whole.

        A BadInputError is handed back, not raised: from a loader process, DataLoader would
        raise it again with a traceback in its message.
        """
        samples = []
        try:
            with torch.random.fork_rng(devices=[]):
                for epoch, index in keys:
                    # Not torch.manual_seed: that would also reseed the accelerator.
                    torch.default_generator.manual_seed(derived_seed(self.seed, self.stream, epoch, index))
                    samples.append(self.prepare(*self.source[index]))
        except BadInputError as error:
            return error
        first, second = zip(*samples, strict=True)
        return torch.stack(first), torch.stack(second)


def _unchanged(batch: Any) -> Any:
    return batch


def _die_with_parent(_process: int) -> None:
    """End this loader process when the process it works for is gone, even if that was killed.

    torch watches the parent process id, which under forkserver is the server's, and the server outlives
    its client as long as a loader process does.
    """
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _data_loader(samples: _Samples, batches: Iterable[list[Key]], processes: int) -> DataLoader[Any]:
    """Put a DataLoader around samples; with processes, they start by forkserver.

    Forking a Ray actor, which has threads, can deadlock the child; spawning imports torch once per process.
    The fork server is a fresh process without threads that has imported once what every loader process needs.
    """
    if processes < 0:
        raise BadInputError(f"loader_processes is {processes}; give 0 (decode in the worker) or more")
    # More than there are processors only share them; torch warns of it.
    processes = min(processes, processors())
    if processes > 0:
        multiprocessing.get_context("forkserver").set_forkserver_preload(_PRELOADED)
    return DataLoader(
        samples,
        batch_sampler=batches,
        num_workers=processes,
        collate_fn=_unchanged,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_die_with_parent if processes > 0 else None,
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

    def _checked(self, batch: Any) -> Batch:
        if isinstance(batch, BadInputError):
            self.close()
            raise batch
        return batch  # type: ignore[no-any-return]


class EndlessBatches(_Closeable, Iterator[Batch]):
    """An infinite iterator over batches. Call `close` when done with it."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        self._batches: Iterator[Any] = iter(loader)

    def __next__(self) -> Batch:
        """Return the next batch.

        Raises:
            BadInputError: an image can't be decoded; the message names it.
        """
        return self._checked(next(self._batches))

    def close(self) -> None:
        """End the loader processes; no batch comes after this. Closing twice is fine."""
        self._batches = iter(())
        super().close()


class EvaluationBatches(_Closeable, Iterable[Batch]):
    """A finite pass over batches each time it is iterated over, by the same loader processes."""

    def __iter__(self) -> Iterator[Batch]:
        """Go through every batch once; go to the end of one pass before starting another.

        Raises:
            BadInputError: an image can't be decoded; the message names it.
        """
        if self._loader is not None:
            for batch in self._loader:
                yield self._checked(batch)


def pretext_batches(
    source: ImageSource,
    spec: DatasetSpec,
    *,
    image_size: int,
    batch: int,
    seed: int,
    start_step: int = 0,
    rank: int = 0,
    world_size: int = 1,
    processes: int = 0,
) -> EndlessBatches:
    """Stream two augmented views of unlabelled images, for ever.

    Args:
        source: the images, labels ignored.
        spec: the dataset's facts, which choose the augmentations.
        image_size: side S of the views, pixels.
        batch: images per global batch; see `sampling.global_batch` for what it becomes.
        seed: seed of order and augmentations.
        start_step: batches already consumed by a run that is being resumed.
        rank: this worker.
        world_size: workers that share each batch equally.
        processes: decoding processes beside the worker; 0 decodes in the worker.

    Returns:
        Pairs of float32 (batch / world_size, 3, S, S), on the CPU.

    Raises:
        BadInputError: fewer images or a smaller batch than workers.
    """
    samples = _Samples(source, _Views(pretext_transform(spec, image_size)), seed, "pretext")
    batches = RandomBatches(len(source), batch, seed, "pretext", start_step, rank, world_size)
    return EndlessBatches(_data_loader(samples, batches, processes))


def train_batches(
    source: ImageSource,
    spec: DatasetSpec,
    *,
    image_size: int,
    batch: int,
    seed: int,
    start_step: int = 0,
    rank: int = 0,
    world_size: int = 1,
    processes: int = 0,
) -> EndlessBatches:
    """Stream augmented images with their labels, for ever; arguments and errors as `pretext_batches`.

    Returns:
        Pairs of images, float32 (batch / world_size, 3, S, S), and labels, int64 (batch / world_size,), or
        (batch / world_size, classes) where an image has a number per class.
    """
    samples = _Samples(source, _Labelled(train_transform(spec, image_size)), seed, "train")
    batches = RandomBatches(len(source), batch, seed, "train", start_step, rank, world_size)
    return EndlessBatches(_data_loader(samples, batches, processes))


def evaluation_batches(
    source: ImageSource,
    spec: DatasetSpec,
    *,
    image_size: int,
    batch: int,
    rank: int = 0,
    world_size: int = 1,
    processes: int = 0,
) -> EvaluationBatches:
    """Go through a split once, nothing random; arguments as `pretext_batches`.

    Returns:
        Pairs of images, float32 (n, 3, S, S), and labels, int64 (n,), or (n, classes) where an image has a number per
        class. Over all workers each image occurs exactly once; a worker may get fewer than another, or none.
    """
    samples = _Samples(source, _Labelled(evaluation_transform(spec, image_size)), 0, "evaluation")
    return EvaluationBatches(_data_loader(samples, EveryImageOnce(len(source), batch, rank, world_size), processes))
