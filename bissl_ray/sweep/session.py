"""One session of a sweep on a cluster: provide the pretrained models, run the experiment."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from bissl_ray.config.data_choice import USED
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.protocol import Budget
from bissl_ray.errors import RunFailedError
from bissl_ray.preflight.session import session
from bissl_ray.preflight.sweeps import fitting_models
from bissl_ray.progress import Alive, Decoding, Event, Note, Report, SweepProgress, View
from bissl_ray.search.history import SweepOutcome, outcome_of
from bissl_ray.store.documents import write_document
from bissl_ray.sweep.job import sweep_job
from bissl_ray.training.files import SavedProgress, exists, write_tensors
from bissl_ray.training.order import Order
from bissl_ray.workers.launch import run_on_workers
from bissl_ray.workers.place import Here, OnCluster
from bissl_ray.workers.shape import GroupShape

_OF_THE_MAKING: Final = (
    "model",
    "dataset",
    "pretext_dataset",
    "split_seed",
    "splits_dir",
    "fingerprint",
    "labelled_fingerprint",
    "split_fingerprint",
    *USED,
)
_LEAST_SHARE: Final = 32
"""Images of a pretraining step that a worker is worth its start and its part in every collective for."""


def run_session(
    document: SweepDocument,
    storage: str,
    address: str | None,
    budget: Budget | None,
    view: View,
    splits_optional: bool = False,
    most_groups: int | None = None,
) -> SweepOutcome:
    """Run or go on with a sweep.

    Args:
        document: sweep.json as it is; of a new sweep, what was asked for.
        storage: absolute.
        address: of the cluster, or None.
        budget: limit on exploring.
        view: shows progress.
        splits_optional: as in `SweepOptions`; matters to a new sweep alone.
        most_groups: at a time; None: as many as there is room for.

    Raises:
        BadInputError: something doesn't fit; no trial was started.
    """
    request = document.request
    job = sweep_job(document, budget, splits_optional, most_groups)
    with session(job, storage, address, view) as under_way:
        place, interrupt = under_way.place, under_way.interrupt
        assert not isinstance(place, Here)
        is_new = document.fingerprint is None
        facts, document = under_way.prepared
        write_document(storage, request.name, document)
        shape = place.shape
        view.show(
            Note(
                f"{request.name} on {place.cluster.where}: {_count(place.slots, 'trial')} at a time, "
                f"{_count(shape.workers, 'worker')} each, on {shape.on}; "
                f"results in {storage}"
            )
        )
        for line in (f"data: {facts.in_words}", *((*request.space.notes, *document.read) if is_new else ())):
            view.show(Note(line))
        try:
            provided = _provide_start(document, storage, place, view, interrupt)
        except RunFailedError as error:
            interrupt.ask(str(error))
            provided = False
        if not provided:
            return SweepOutcome(request.name, storage, finished=False, completed=0, problem=interrupt.reason)
        # Imports Ray, whose environment had to be set before.
        from bissl_ray.sweep.experiment import run_experiment

        planner = run_experiment(document, storage, place, view, interrupt, budget, under_way.lock.files)
    return outcome_of(request.name, storage, planner, interrupt(), interrupt.reason)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def pretraining_workers(batch: int, slots: int) -> int:
    """How many workers pretrain: all that the sweep will have, as far as they share the batch in useful pieces."""
    return max((n for n in range(2, slots + 1) if batch % n == 0 and batch // n >= _LEAST_SHARE), default=1)


def _provide_start(
    document: SweepDocument, storage: str, place: OnCluster, view: View, stopped: Callable[[], bool]
) -> bool:
    """See to it that the pretrained models are in the storage; False if stopped meanwhile."""
    request, start = document.request, str(document.start)
    if exists(storage, start):
        return True
    if request.pretrained is not None:
        read = fitting_models(request)
        parts = ("pretext",) if read.with_head else ()
        # What it was made with goes along: it may start something else one day.
        known = read.facts
        made = {name: known.made[name] for name in _OF_THE_MAKING if name in known.made}
        metadata = {"model": "pretrained", **made, "source": known.source, "read": list(known.notes)}
        write_tensors(storage, start, read.models.checkpoint(parts, metadata))
        return True
    settings = request.space.settings({})

    def shape(now: OnCluster) -> GroupShape:
        together = now.together
        return together.of(pretraining_workers(settings.pretrain_batch, together.shape.workers)).shape

    order = Order(
        trial="pretrain",
        data=request.data,
        storage=storage,
        sweep=request.name,
        settings=settings,
        seed=request.space.protocol.seed,
        stages=("pretrain",),
        start=start,
    )
    view.show(
        Note(
            f"pretraining {settings.backbone} ({settings.pretext}) for {_count(settings.pretrain_epochs, 'epoch')} "
            f"on {_count(shape(place).workers, 'worker')}"
        )
    )
    # After a loss, on as many workers as the machines that are left have room for.
    end = run_on_workers(order, lambda: shape(place.now), _Pretraining(settings.pretrain_epochs, view), stopped)
    if end.result is None or not exists(storage, start):
        return False
    with suppress(OSError):  # a file too many
        SavedProgress(order.storage, order.folder).clear()
    return True


class _Pretraining:
    """Shows pretraining as a phase of the sweep, epoch by epoch."""

    def __init__(self, epochs: int, view: View):
        self._epochs = epochs
        self._view = view
        self._begin = time.monotonic()
        self._first: int | None = None
        self._done = 0

    def show(self, event: Event) -> None:
        match event:
            case Note():
                self._view.show(event)
            case Decoding():
                self._progress(0, doing=None if event.done == event.total else event.words)
            case Alive(waits_for):
                self._progress(self._done, trouble=waits_for)
            case Report(row):
                self._epoch(row["epoch"])

    def _epoch(self, epoch: int) -> None:
        # Earlier epochs were an earlier attempt's.
        self._first = epoch - 1 if self._first is None else self._first
        self._done = epoch
        elapsed = time.monotonic() - self._begin
        self._progress(epoch, left=elapsed / (epoch - self._first) * (self._epochs - epoch))

    def _progress(
        self, done: int, left: float | None = None, doing: str | None = None, trouble: str | None = None
    ) -> None:
        elapsed = time.monotonic() - self._begin
        where = SweepProgress("pretraining (epochs)", self._epochs, done, running=1, elapsed=elapsed)
        self._view.show(replace(where, left=left, doing=doing, trouble=trouble))
