"""The pretrained models that a sweep starts from: a person's, or those that it makes, once for all sweeps."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Final

from bissl_ray.config.data_choice import USED
from bissl_ray.config.documents import SweepDocument
from bissl_ray.errors import BadInputError
from bissl_ray.preflight.sweeps import fitting_models
from bissl_ray.progress import Alive, Decoding, Event, Note, Report, SweepProgress, View
from bissl_ray.store.lock import locked
from bissl_ray.store.paths import making_folder
from bissl_ray.training.files import SavedProgress, exists, remove_folder, write_tensors
from bissl_ray.training.order import Order
from bissl_ray.workers.interrupt import Interrupt
from bissl_ray.workers.launch import run_on_workers
from bissl_ray.workers.place import OnCluster
from bissl_ray.workers.shape import GroupShape

_LOOK_S: Final = 2.0
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


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def pretraining_workers(batch: int, slots: int) -> int:
    """How many workers pretrain: all that the sweep will have, as far as they share the batch in useful pieces."""
    return max((n for n in range(2, slots + 1) if batch % n == 0 and batch // n >= _LEAST_SHARE), default=1)


def provide_start(document: SweepDocument, storage: str, place: OnCluster, view: View, interrupt: Interrupt) -> bool:
    """See to it that the pretrained models are in the storage; False if stopped meanwhile.

    Raises:
        RunFailedError: pretraining has failed.
    """
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
    with _alone_at(start, storage, place, view, interrupt) as alone:
        return _pretrain(document, storage, place, view, interrupt) if alone else exists(storage, start)


@contextmanager
def _alone_at(start: str, storage: str, place: OnCluster, view: View, interrupt: Interrupt) -> Iterator[bool]:
    """Be the only sweep that makes some pretrained models, for the duration of a `with` block.

    Several that begin at once would make the same ones, and each overwrite what the trials of the others start from.

    Yields:
        Whether it is to make them; False: they are there by now, or someone asks to stop.
    """
    folder, waits = making_folder(start), False
    while not exists(storage, start) and not interrupt():
        with ExitStack() as stack:
            try:
                stack.enter_context(
                    locked(storage, folder, "another sweep's pretraining of the same models", interrupt.ask)
                )
            except BadInputError as error:
                if not waits:
                    view.show(Note(f"waits: {str(error).partition(': ')[0]}"))
                waits = True
                place.want(0)
                time.sleep(_LOOK_S)
                continue
            place.want(None)
            stack.callback(remove_folder, storage, folder)
            yield not exists(storage, start)
            return
    place.want(None)
    yield False


def _pretrain(document: SweepDocument, storage: str, place: OnCluster, view: View, interrupt: Interrupt) -> bool:
    request, start = document.request, str(document.start)
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
            f"pretraining {settings.backbone} ({settings.pretext}) for {counted(settings.pretrain_epochs, 'epoch')} "
            f"on {counted(shape(place).workers, 'worker')}"
        )
    )
    # After a loss, on as many workers as the machines that are left have room for.
    end = run_on_workers(order, lambda: shape(place.now), _Pretraining(settings.pretrain_epochs, view), interrupt)
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
