"""Everything that the stages of one trial share: models, data, settings, reports, checkpoints."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from bissl_ray.data import (
    DataChoice,
    DatasetSpec,
    DatasetSplits,
    EndlessBatches,
    EvaluationBatches,
    ImageSource,
    evaluation_batches,
    pretext_batches,
    steps_per_epoch,
    train_batches,
)
from bissl_ray.data.cache.images import cached_splits
from bissl_ray.data.cache.news import CacheNews, Unheard
from bissl_ray.data.sampling import derived_seed, global_batch
from bissl_ray.downstream import evaluate
from bissl_ray.errors import BadInputError
from bissl_ray.training.files import Progress, read_tensors, write_tensors
from bissl_ray.training.models import Models
from bissl_ray.training.order import SCORING, Order, batches_of
from bissl_ray.training.precision import autocast, drawn_outside_autocast
from bissl_ray.training.watch import Advance, TrialStoppedError, Unwatched, Watch
from bissl_ray.training.worker import Worker, in_step

Report = Callable[[dict[str, Any]], None]
_EVALUATION_BATCH = 512


_MOST_OPEN = 4
_opened: dict[tuple[DataChoice, float | None, int | None], DatasetSplits] = {}
"""A worker runs trial after trial on the same data: it opens it once. The one used last is the last."""


def _open_splits(
    data: DataChoice, cache_gib: float | None, cache_side: int | None, news: CacheNews | None
) -> DatasetSplits:
    key = (data, cache_gib, cache_side)
    splits = _opened.pop(key, None) or cached_splits(data.open(), cache_gib, cache_side, news)
    while len(_opened) >= _MOST_OPEN:
        del _opened[next(iter(_opened))]
    _opened[key] = splits
    return splits


class Trial:
    """One trial on this worker."""

    def __init__(
        self,
        order: Order,
        worker: Worker,
        report: Report,
        watch: Watch | None = None,
        news: CacheNews | None = None,
    ):
        """Build the models and open the data.

        Args:
            order: what to run.
            worker: this process among the trial's workers.
            report: takes a row; raises when the trial is to stop.
            watch: follows the run between reports; None: nobody does.
            news: hears of the images that are decoded before the run begins; None: standard error does. Only the
                chief's is told.
        """
        self.order = order
        self.settings = order.validated_settings()
        self.worker = worker
        self.dataset = order.data.spec
        news = news if worker.is_chief else Unheard()
        self.splits: DatasetSplits = _open_splits(order.data, self.settings.cache_gib, self.settings.cache_side, news)
        self.progress = Progress(order.storage, order.folder)
        self.seconds_before = 0.0
        self._evaluations: dict[str, EvaluationBatches] = {}
        self.totals: dict[str, Any] = {}
        """What the trial's result will say; survives interruption."""
        self.first_step_at: float | None = None
        """When the first training batch was at hand, in seconds since the epoch; None before."""
        self._begin = time.monotonic()
        self._report = report
        self._watch = Unwatched() if watch is None else watch
        # The same seed on all workers: they build the same models. Everything random afterwards (order of the
        # data, augmentations) is a function of (seed, step, image), so that workers differ where they should.
        torch.manual_seed(order.seed)
        self.models = Models.build(self.settings, self.splits.classes, worker.device, self.dataset.task)

    def start(self) -> tuple[str, Any]:
        """Load what the trial starts from, or where it was interrupted.

        Returns:
            The stage to begin with, and that stage's saved state (None: from its beginning).

        Raises:
            BadInputError: the workers can't share a batch equally.
            FileNotFoundError: what it starts from is not there.
        """
        self._check_shares()
        saved = self.progress.load()
        # A look at the test split has the name of the run that it looks at, and nothing to do with its progress.
        if saved is not None and saved["stage"] in self.order.stages:
            self.models.start_from(saved["models"], "the trial's own checkpoint")
            self.seconds_before = saved["seconds"]
            self.totals = saved["totals"]
            return saved["stage"], saved["state"]
        if self.order.stages[0] == "pretrain":
            return "pretrain", None
        content = read_tensors(self.order.storage, self.order.start)
        if content is None:
            raise FileNotFoundError(f"{self.order.storage}/{self.order.start}: the trial starts from it")
        self.models.start_from(content, self.order.start)
        return self.order.stages[0], None

    def advance(self, where: Advance, state: Callable[[], Any], loss: Tensor | None = None) -> None:
        """Say where a stage is, and save that unless it was saved a moment ago. The chief's business alone.

        Args:
            where: after a step that others of the same stage follow.
            state: called for the stage's state if it is saved.
            loss: of the step, for who follows.

        Raises:
            TrialStoppedError: the watch asked to stop; where the run is has been saved.
        """
        if not self.worker.is_chief:
            return
        if self._watch.due():
            self._watch.advanced(where if loss is None else replace(where, loss=float(loss)))
        self.save_progress(where.stage, state)

    def save_progress(self, stage: str, state: Callable[[], Any]) -> None:
        """Save where the trial is, unless it was saved a moment ago; arguments and errors as `advance`.

        Args:
            stage: the stage to go on with.
            state: called for that stage's state if it is saved.
        """
        if not self.worker.is_chief:
            return
        stop = self._watch.stop_asked()
        if stop or self.progress.due:
            content = self.models.content()
            seconds, totals = self.seconds, self.totals
            # Else only insurance: a storage that refuses for a moment must not cost the trial.
            with nullcontext() if stop else suppress(OSError):
                self.progress.save(
                    {"stage": stage, "state": state(), "models": content, "seconds": seconds, "totals": totals}
                )
        if stop:
            raise TrialStoppedError

    def save_models(self, name: str, parts: tuple[str, ...], path: str | None = None) -> None:
        """Write models for good; the result names the file.

        Args:
            name: "pretrained", "aligned" or "finetuned".
            parts: what it holds beside the backbone, of "pretext" and "downstream".
            path: relative to the storage; None: `<trial's folder>/<name>.pt`.
        """
        path = path or f"{self.order.folder}/{name}.pt"
        if self.worker.is_chief:
            write_tensors(self.order.storage, path, self.models.checkpoint(parts, self._metadata(name)))
        self.totals["checkpoint"] = path

    def _metadata(self, name: str) -> dict[str, Any]:
        order = self.order
        origin = {"dataset": order.dataset, "sweep": order.sweep, "trial": order.trial, "seed": order.seed}
        statistics = {
            "pretrained": "running statistics of pretraining",
            "aligned": "running statistics re-estimated on views of the pretext pool",
            "finetuned": "running statistics of fine-tuning",
        }
        measured = {"objective_name": self.objective_name, "objective": self.totals.get("objective")}
        return {
            "model": name,
            **origin,
            "pretext_dataset": order.pretext_dataset,
            "split_seed": order.split_seed,
            "splits_dir": order.splits_dir,
            "fingerprint": self.splits.fingerprint,
            "labelled_fingerprint": self.splits.labelled_fingerprint,
            "class_names": None if self.splits.class_names is None else list(self.splits.class_names),
            "statistics": statistics[name],
            **(measured if "objective" in self.totals else {}),
            "settings": order.settings,
        }

    @property
    def seconds(self) -> float:
        """Time that the trial has taken, earlier attempts included."""
        return self.seconds_before + time.monotonic() - self._begin

    def report(self, row: dict[str, Any]) -> None:
        """Report a row, with the time it was made at and what the trial has come to; raises when it is to stop."""
        self._report({"objective_name": self.objective_name, "seconds": self.seconds, **row, "so_far": self.so_far})

    @property
    def so_far(self) -> dict[str, Any]:
        """What the trial has come to and cost: its result, when it has ended."""
        seconds, workers = self.seconds, self.worker.world_size
        on_gpu = self.worker.device.type == "cuda"
        return {
            **{name: value for name, value in self.totals.items() if name != "residuals"},
            "objective_name": self.objective_name,
            "seconds": seconds,
            "gpu_seconds": seconds * workers if on_gpu else 0.0,
            "workers": workers,
        }

    # Data, on this worker's device

    @contextmanager
    def pretext_views(self, stage: str, batch: int, start_step: int) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
        """Endless pairs of augmented views of the pretext pool; each stage draws its own."""
        with self._open(
            pretext_batches, self.order.data.pretext_spec, stage, self.splits.pretext, batch, start_step
        ) as batches:
            yield batches

    @contextmanager
    def labelled(self, stage: str, batch: int, start_step: int) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
        """Endless augmented training images with their labels; each stage draws its own.

        BiSSL's runs and the control's draw alike in fine-tuning under the same seed: their comparison is paired.
        """
        with self._open(train_batches, self.dataset, stage, self.splits.train, batch, start_step) as batches:
            yield batches

    def labelled_steps(self, batch: int) -> int:
        """Steps in one pass over the labelled training images."""
        return steps_per_epoch(self.splits.train, batch, self.worker.world_size)

    def pretext_steps(self, batch: int) -> int:
        """Steps in one pass over the pretext pool."""
        return steps_per_epoch(self.splits.pretext, batch, self.worker.world_size)

    def labelled_batch(self, batch: int) -> int:
        """Images in a batch as really drawn: at most every labelled image once."""
        return global_batch(len(self.splits.train), batch, self.worker.world_size)

    @property
    def curvature_images(self) -> int:
        """Images of a lower batch, over all workers, that the curvature is taken on: at most those really drawn."""
        drawn = global_batch(len(self.splits.pretext), self.settings.lower_batch, self.worker.world_size)
        wanted = self.settings.curvature_batch
        return drawn if wanted is None else min(wanted, drawn)

    @contextmanager
    def _open(
        self,
        stream: Callable[..., EndlessBatches],
        spec: DatasetSpec,
        stage: str,
        source: ImageSource,
        batch: int,
        start_step: int,
    ) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
        batches = stream(
            source,
            spec,
            image_size=self.settings.image_size,
            batch=batch,
            seed=derived_seed(self.order.seed, stage),
            start_step=start_step,
            rank=self.worker.rank,
            world_size=self.worker.world_size,
            processes=self.settings.loader_processes,
        )
        try:
            yield self._training_pairs(batches)
        finally:
            batches.close()

    def _training_pairs(self, batches: EndlessBatches) -> Iterator[tuple[Tensor, Tensor]]:
        for pair in drawn_outside_autocast(batches):
            if self.first_step_at is None:
                self.first_step_at = time.time()
            yield self.to_device(pair)

    def to_device(self, pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Move a batch to this worker's device without waiting for it."""
        first, second = pair
        return (
            first.to(self.worker.device, non_blocking=True),
            second.to(self.worker.device, non_blocking=True),
        )

    # Arithmetic

    def autocast(self) -> torch.autocast:
        """A context for one forward in the trial's precision, or for several between which no parameter changes."""
        return autocast(self.settings.precision, self.worker.device)

    # Scores

    @property
    def objective_name(self) -> str:
        """The metric that the field uses on this dataset, on the validation split."""
        return f"validation_{self.dataset.metric}"

    def score(self, which: str, split: str = "validation") -> float:
        """The dataset's metric of one of the models, in [0, 1]; arguments and errors as `metrics`."""
        return self.metrics(which, split)[self.dataset.metric]

    def metrics(self, which: str, split: str = "validation") -> dict[str, float]:
        """Every metric of the dataset's task, of one of the models, over a whole split (collective).

        Args:
            which: "upper" (θ_D) or "lower" (θ), each with head φ_D.
            split: "validation", or "test" for a run that may look there.

        Returns:
            As `evaluate`, the same on every worker.

        Raises:
            FloatingPointError: the model's loss is not finite (its last step broke it); the same on every worker.
        """
        batches = self.evaluation(split)
        with self.autocast():
            scores = evaluate(getattr(self.models, which), self.models.downstream, batches)
        # Of scores that are all NaN, no figure means anything.
        if not math.isfinite(scores["loss"]):
            raise in_step(FloatingPointError(f"the {split} loss is {scores['loss']}: the model has diverged"))
        return scores

    def evaluation(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """This worker's share of one pass over a split, in its order and nothing random."""
        if split not in self._evaluations:
            self._evaluations[split] = evaluation_batches(
                getattr(self.splits, split),
                self.dataset,
                image_size=self.settings.image_size,
                batch=_EVALUATION_BATCH,
                rank=self.worker.rank,
                world_size=self.worker.world_size,
                processes=self.settings.loader_processes,
            )
        for number, pair in enumerate(drawn_outside_autocast(self._evaluations[split])):
            self._scoring(split, number)
            yield self.to_device(pair)

    def _scoring(self, split: str, batches: int) -> None:
        """Where scores are all that is wanted: say how many batches are done; stop if asked, with nothing to save."""
        if not self.worker.is_chief or self.order.stages[0] not in SCORING:
            return
        if self._watch.due():
            workers = self.worker.world_size
            share = max(1, _EVALUATION_BATCH // workers)
            total = math.ceil(len(getattr(self.splits, split)) // workers / share)
            self._watch.advanced(Advance(f"{split} images", batches, total, "batch"))
        if self._watch.stop_asked():
            raise TrialStoppedError

    def close(self) -> None:
        """End the loader processes that scoring keeps."""
        for batches in self._evaluations.values():
            batches.close()

    def _check_shares(self) -> None:
        n, settings = self.worker.world_size, self.settings
        for name in batches_of(self.order.stages):
            batch = getattr(settings, name)
            if batch % n:
                raise in_step(
                    BadInputError(
                        f"{name} is {batch}, which {n} workers can't share equally: make it a multiple of {n}"
                    )
                )
        parts = n * settings.curvature_chunks
        if "bissl" in self.order.stages and self.curvature_images % parts:
            raise in_step(
                BadInputError(
                    f"the curvature is taken on {self.curvature_images} images, which {n} workers can't cut into "
                    f"{settings.curvature_chunks} equal parts each: make curvature_batch a multiple of {parts}, "
                    "or change curvature_chunks"
                )
            )
