"""The data of one trial on its worker's device: endless streams for training, whole passes for scoring."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bissl_ray.config.data_choice import DataChoice, Decoding
from bissl_ray.config.settings import Settings
from bissl_ray.data import DatasetSplits, get_dataset, open_data
from bissl_ray.data.cache.images import cached_splits
from bissl_ray.data.cache.news import Tell
from bissl_ray.data.files.changed import decoded
from bissl_ray.data.loaders import EvaluationBatches, OfPair, Samples, endless_batches, evaluation_batches
from bissl_ray.data.nested import each_tensor
from bissl_ray.data.sampling import Share, Stream, derived_seed, global_batch, steps_per_epoch
from bissl_ray.downstream import downstream_task
from bissl_ray.pretext import pretext_task
from bissl_ray.training.precision import drawn_outside_autocast
from bissl_ray.training.worker import Worker

_MOST_OPEN: Final = 4
_opened: dict[tuple[DataChoice, float | None, Decoding], DatasetSplits] = {}
"""A worker runs trial after trial on the same data: it opens it once. The one used last is the last."""


def _open_once(choice: DataChoice, settings: Settings, tell: Tell) -> DatasetSplits:
    key = (choice, settings.cache_gib, settings.decoding)
    splits = _opened.pop(key, None) or cached_splits(
        decoded(open_data(choice), settings.decoding), settings.cache_gib, tell
    )
    while len(_opened) >= _MOST_OPEN:
        del _opened[next(iter(_opened))]
    _opened[key] = splits
    return splits


class TrialData:
    """What a trial is trained and scored on.

    Attributes:
        spec: the dataset's facts.
        splits: the dataset, opened.
        first_batch_at: when the first training batch was at hand, in seconds since the epoch; None before.
    """

    def __init__(self, choice: DataChoice, settings: Settings, seed: int, worker: Worker, tell: Tell) -> None:
        """Open the data.

        Args:
            choice: which.
            settings: sizes of images and batches, and how they are decoded.
            seed: of the order of the data and of augmentations.
            worker: this process among those that share the batches.
            tell: hears of the images that are decoded.
        """
        self.spec = get_dataset(choice.dataset)
        self.splits = _open_once(choice, settings, tell)
        self.first_batch_at: float | None = None
        self._pretext_spec = get_dataset(choice.pretext)
        self._task = downstream_task(self.spec.task)
        self._pretext = pretext_task(settings.pretext)
        self._settings = settings
        self._seed = seed
        self._worker = worker
        self._share = Share(worker.rank, worker.world_size)
        self._evaluations: dict[str, EvaluationBatches] = {}

    @contextmanager
    def pretext_batches(self, stage: str, batch: int, first_step: int) -> Iterator[Iterator[Any]]:
        """Endless batches of the pretext task, of its pool; each stage draws its own."""
        views = self._pretext.views(self._pretext_spec, self._settings.image_size)
        samples = Samples(self.splits.pretext, views, self._pretext.collate)
        with self._drawn(samples, Stream("pretext", derived_seed(self._seed, stage), batch, first_step)) as batches:
            yield batches

    @contextmanager
    def labelled(self, stage: str, batch: int, first_step: int) -> Iterator[Iterator[Any]]:
        """Endless batches of the task's training samples; each stage draws its own.

        BiSSL's runs and the control's draw alike in fine-tuning under the same seed: their comparison is paired.
        """
        prepare = OfPair(self._task.train_sample(self.spec, self._settings))
        samples = Samples(self.splits.train, prepare, self._task.collate)
        with self._drawn(samples, Stream("train", derived_seed(self._seed, stage), batch, first_step)) as batches:
            yield batches

    def labelled_steps(self, batch: int) -> int:
        """Steps in one pass over the labelled training images."""
        return steps_per_epoch(self.splits.train, batch, self._worker.world_size)

    def pretext_steps(self, batch: int) -> int:
        """Steps in one pass over the pretext pool."""
        return steps_per_epoch(self.splits.pretext, batch, self._worker.world_size)

    def labelled_batch(self, batch: int) -> int:
        """Images in a batch as really drawn: at most every labelled image once."""
        return global_batch(len(self.splits.train), batch, self._worker.world_size)

    @property
    def curvature_images(self) -> int:
        """Images of a lower batch, over all workers, that the curvature is taken on: at most those really drawn."""
        drawn = global_batch(len(self.splits.pretext), self._settings.lower_batch, self._worker.world_size)
        wanted = self._settings.curvature_batch
        return drawn if wanted is None else min(wanted, drawn)

    def evaluation(self, split: str) -> Iterator[Any]:
        """This worker's share of one pass over a split, in its order and nothing random."""
        if split not in self._evaluations:
            prepare = OfPair(self._task.evaluation_sample(self.spec, self._settings))
            samples = Samples(getattr(self.splits, split), prepare, self._task.collate)
            self._evaluations[split] = evaluation_batches(
                samples, self._task.evaluation_batch, self._share, self._settings.loader_processes
            )
        for batch in drawn_outside_autocast(self._evaluations[split]):
            yield self._to_device(batch)

    def evaluation_steps(self, split: str) -> int:
        """Batches of this worker's share of one pass over a split, about."""
        workers = self._worker.world_size
        images, batch = len(getattr(self.splits, split)) // workers, max(1, self._task.evaluation_batch // workers)
        return -(-images // batch)

    def close(self) -> None:
        """End the loader processes that scoring keeps."""
        for batches in self._evaluations.values():
            batches.close()

    @contextmanager
    def _drawn(self, samples: Samples, stream: Stream) -> Iterator[Iterator[Any]]:
        batches = endless_batches(samples, stream, self._share, self._settings.loader_processes)
        try:
            yield self._on_device(batches)
        finally:
            batches.close()

    def _on_device(self, batches: Iterator[Any]) -> Iterator[Any]:
        for batch in drawn_outside_autocast(batches):
            if self.first_batch_at is None:
                self.first_batch_at = time.time()
            yield self._to_device(batch)

    def _to_device(self, batch: Any) -> Any:
        """Move a batch to this worker's device without waiting for it."""
        return each_tensor(batch, lambda tensor: tensor.to(self._worker.device, non_blocking=True))
