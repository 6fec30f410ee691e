"""One session of a sweep on a cluster: provide the pretrained models, run the experiment."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bissl_ray.config.data_choice import USED
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.protocol import Budget
from bissl_ray.errors import RunFailedError
from bissl_ray.preflight.session import Session, session
from bissl_ray.preflight.sweeps import fitting_models
from bissl_ray.progress import Alive, Decoding, Event, Note, Report, SweepProgress, View
from bissl_ray.search.history import SweepOutcome, outcome_of
from bissl_ray.store.documents import write_document
from bissl_ray.sweep.job import Ready, sweep_job
from bissl_ray.training.files import SavedProgress, exists, write_tensors
from bissl_ray.training.order import Order
from bissl_ray.workers.address import chosen_address
from bissl_ray.workers.launch import run_on_workers
from bissl_ray.workers.place import Here, OnCluster, one_cluster
from bissl_ray.workers.shape import GroupShape

if TYPE_CHECKING:
    from bissl_ray.sweep.experiment import Ran

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


@dataclass(frozen=True)
class ToRun:
    """A sweep that is to begin or to go on.

    Attributes:
        document: sweep.json as it is; of a new sweep, what was asked for.
        budget: limit on exploring.
        splits_optional: as in `SweepOptions`; matters to a new sweep alone.
    """

    document: SweepDocument
    budget: Budget | None = None
    splits_optional: bool = False

    @property
    def name(self) -> str:
        """Of the sweep."""
        return self.document.request.name


def run_session(
    sweeps: Sequence[ToRun],
    storage: str,
    address: str | None,
    view: View,
    most_groups: int | None = None,
) -> list[SweepOutcome]:
    """Run or go on with sweeps, whose groups of workers are of one shape: one, or several that share these.

    All are looked at before the first begins; all pretrained models are provided before the first trial. One whose
    models can't be has ended; the others go on.

    Args:
        sweeps: the first of them come first.
        storage: absolute.
        address: of the cluster, or None.
        view: shows progress.
        most_groups: at a time; None: as many as there is room for.

    Returns:
        How each ended.

    Raises:
        BadInputError: something doesn't fit; no trial was started.
    """
    with ExitStack() as stack:
        if len(sweeps) > 1:
            stack.enter_context(one_cluster(chosen_address(address), several=True))
        every: list[tuple[ToRun, Session[Ready]]] = []
        for sweep in sweeps:
            job = sweep_job(sweep.document, sweep.budget, sweep.splits_optional, most_groups)
            first = every[0][1].interrupt if every else None
            every.append((sweep, stack.enter_context(session(job, storage, address, view, first))))
        # Imports Ray, whose environment had to be set before.
        from bissl_ray.sweep.experiment import Searched, run_experiment

        place, interrupt = every[0][1].place, every[0][1].interrupt
        assert not isinstance(place, Here)
        ready = []
        failed: dict[str, str] = {}
        for sweep, under_way in every:
            facts, document = under_way.prepared
            write_document(storage, sweep.name, document)
            _say(sweep, document, facts.in_words, storage, place, view)
            try:
                provided = not interrupt() and _provide_start(document, storage, place, view, interrupt)
            except RunFailedError as error:
                failed[sweep.name] = str(error)
                continue
            if provided:
                ready.append(Searched(document, sweep.budget, under_way.lock.files))
        found = run_experiment(ready, storage, place, view, interrupt) if ready and not interrupt() else []
    ran = {each.document.request.name: run for each, run in zip(ready, found, strict=False)}
    return [
        _outcome(sweep.name, storage, ran.get(sweep.name), failed.get(sweep.name, interrupt.reason)) for sweep in sweeps
    ]


def _outcome(name: str, storage: str, ran: "Ran | None", problem: str | None) -> SweepOutcome:
    if ran is None:
        return SweepOutcome(name, storage, finished=False, completed=0, problem=problem)
    is_over = ran.planner.finished and not ran.has_unwritten
    return outcome_of(name, storage, ran.planner, ran.has_unwritten, None if is_over else problem)


def _say(sweep: ToRun, document: SweepDocument, data: str, storage: str, place: OnCluster, view: View) -> None:
    """Say where a sweep runs and on what; of a new one, what there is to say of its space and its checkpoint."""
    shape = place.shape
    view.show(
        Note(
            f"{sweep.name} on {place.cluster.where}: {_count(place.slots, 'trial')} at a time, "
            f"{_count(shape.workers, 'worker')} each, on {shape.on}; "
            f"results in {storage}"
        )
    )
    is_new = sweep.document.fingerprint is None
    for line in (f"data: {data}", *((*document.request.space.notes, *document.read) if is_new else ())):
        view.show(Note(line))


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
