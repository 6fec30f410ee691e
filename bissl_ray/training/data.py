"""The data of one trial on its worker's device: endless streams for training, whole passes for scoring."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Final

from bissl_ray.config.data_choice import DataChoice, Decoding
from bissl_ray.config.settings import Settings
from bissl_ray.data import DatasetSplits, get_dataset, open_data
from bissl_ray.data.augment.fastest import compiles
from bissl_ray.data.cache.images import cached_splits
from bissl_ray.data.cache.news import Tell
from bissl_ray.data.files.changed import decoded
from bissl_ray.data.loaders import EvaluationBatches, OfPair, Samples, endless_batches, evaluation_batches
from bissl_ray.data.sampling import Share, Stream, derived_seed, evenly_spread, global_batch, steps_per_epoch
from bissl_ray.data.spec import Labelled
from bissl_ray.data.transforms import Place, in_steps
from bissl_ray.downstream import downstream_task
from bissl_ray.downstream.base import DownstreamTask, Prepare
from bissl_ray.pretext import PretextTask, pretext_task
from bissl_ray.progress import Note
from bissl_ray.training.batches import Finish, faster_place, own_collate, prepared, prepared_ahead
from bissl_ray.training.worker import Worker

_MOST_OPEN: Final = 4
_opened: dict[tuple[DataChoice, float | None, Decoding], DatasetSplits] = {}
"""A worker runs trial after trial on the same data: it opens it once. The one used last is the last."""
_Made = tuple[Samples, Finish]


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
        self._tell = tell
        self._task = downstream_task(self.spec.task)
        self._pretext = pretext_task(settings.pretext)
        self._settings = settings
        self._seed = seed
        self._worker = worker
        self._share = Share(worker.rank, worker.world_size)
        self._evaluations: dict[tuple[str, int], tuple[EvaluationBatches, Finish]] = {}

    @contextmanager
    def pretext_batches(self, stage: str, batch: int, first_step: int) -> Iterator[Iterator[Any]]:
        """Endless batches of the pretext task, of its pool; each stage draws its own."""
        stream = Stream("pretext", derived_seed(self._seed, stage), batch, first_step)
        if self._pretext_spec.colour and not compiles():
            self._tell(Note("numba is missing, so photographs are augmented slower: pip install numba"))
        offers_two = self._pretext_spec.colour and own_collate(self._pretext, PretextTask) is None
        with self._augmented(self._views, stream, self._pretext_spec.name, offers_two) as batches:
            yield self._timed(batches)

    def _views(self, place: Place) -> _Made:
        views = self._pretext.views(self._pretext_spec, self._settings.image_size)
        steps = in_steps(views, own_collate(self._pretext, PretextTask), place)
        return Samples(self.splits.pretext, steps.prepare, steps.collate), steps.finish

    def _labelled(self, source: Labelled, prepare: Prepare, place: Place) -> _Made:
        steps = in_steps(prepare, own_collate(self._task, DownstreamTask), place)
        return Samples(source, OfPair(steps.prepare), steps.collate), steps.finish

    def _augmented(
        self, made: Callable[[Place], _Made], stream: Stream, dataset: str, offers_two: bool
    ) -> AbstractContextManager[Iterator[Any]]:
        """Batches of photographs augmented where it is set, or where a few batches come faster if there is a choice."""
        settings, device = self._settings, self._worker.device

        def drawn(place: Place) -> AbstractContextManager[Iterator[Any]]:
            return self._drawn(*made(place), stream)

        if settings.augment != "auto":
            return drawn(settings.augment)
        if not offers_two:
            return drawn("loader")
        key = (dataset, settings.image_size, stream.batch, settings.loader_processes)
        return drawn(faster_place(stream.name, key, drawn, settings.loader_processes, device, self._tell))

    @contextmanager
    def labelled(self, stage: str, batch: int, first_step: int) -> Iterator[Iterator[Any]]:
        """Endless batches of the task's training samples; each stage draws its own.

        BiSSL's runs and the control's draw alike in fine-tuning under the same seed: their comparison is paired.
        """
        stream = Stream("train", derived_seed(self._seed, stage), batch, first_step)
        made = partial(self._labelled, self.splits.train, self._task.train_sample(self.spec, self._settings))
        offers_two = self.spec.colour and own_collate(self._task, DownstreamTask) is None
        with self._augmented(made, stream, self.spec.name, offers_two) as batches:
            yield self._timed(batches)

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

    def evaluation(self, split: str, most: int | None = None) -> Iterator[Any]:
        """This worker's share of one pass over a split, in its order and nothing random.

        Args:
            split: its name.
            most: images over all workers, spread evenly over the split; None: all.
        """
        source: Labelled = getattr(self.splits, split)
        count = len(source) if most is None else min(most, len(source))
        if (split, count) not in self._evaluations:
            if count < len(source):
                source = source.select(evenly_spread(count, len(source)))
            samples, finish = self._labelled(source, self._task.evaluation_sample(self.spec, self._settings), "loader")
            batches = evaluation_batches(
                samples, self._task.evaluation_batch, self._share, self._settings.loader_processes
            )
            self._evaluations[split, count] = batches, finish
        batches, finish = self._evaluations[split, count]
        yield from self._on_device(batches, finish)

    def evaluation_steps(self, split: str) -> int:
        """Batches of this worker's share of one pass over a split, about."""
        workers = self._worker.world_size
        images, batch = len(getattr(self.splits, split)) // workers, max(1, self._task.evaluation_batch // workers)
        return -(-images // batch)

    def close(self) -> None:
        """End the loader processes that scoring keeps."""
        for batches, _ in self._evaluations.values():
            batches.close()

    @contextmanager
    def _drawn(self, samples: Samples, finish: Finish, stream: Stream) -> Iterator[Iterator[Any]]:
        batches = endless_batches(samples, stream, self._share, self._settings.loader_processes)
        try:
            yield self._on_device(batches, finish)
        finally:
            batches.close()

    def _timed(self, batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            if self.first_batch_at is None:
                self.first_batch_at = time.time()
            yield batch

    def _on_device(self, batches: Iterable[Any], finish: Finish) -> Iterator[Any]:
        """Batches as the network takes them, none waited for.

        Where photographs are augmented on CUDA, the next one is prepared there beside the step on this one: that has
        not run on a GPU yet, so it comes with `augment` only.
        """
        device = self._worker.device
        beside = device.type == "cuda" and self._settings.augment != "loader"
        return prepared_ahead(batches, finish, device) if beside else prepared(batches, finish, device)
