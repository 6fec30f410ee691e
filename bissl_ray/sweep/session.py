"""One session of a sweep on a cluster: connect, provide the pretrained models, run the experiment."""

import shlex
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from bissl_ray.config.protocol import Budget
from bissl_ray.config.requests import SweepRequest
from bissl_ray.data import DataChoice
from bissl_ray.data.cache.news import decoding_words
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.live import SweepProgress
from bissl_ray.preflight.data import DataFacts, inspect_data, inspect_remotely
from bissl_ray.preflight.sweeps import CheckpointFacts, check_pretrained, check_request, fitting_models
from bissl_ray.store import write_sweep_document
from bissl_ray.store.lock import check_free, locked
from bissl_ray.store.provenance import git_state, versions
from bissl_ray.sweep.experiment import run_experiment
from bissl_ray.sweep.outcome import SweepOutcome, View, outcome_of
from bissl_ray.training.files import exists, remove_folder, write_tensors
from bissl_ray.training.order import Order
from bissl_ray.training.stages.pretrain import pretrained_path
from bissl_ray.training.watch import Advance
from bissl_ray.workers.cluster import Cluster, connected
from bissl_ray.workers.interrupt import interruptible
from bissl_ray.workers.launch import run_on_workers
from bissl_ray.workers.train_run import GroupShape

_OF_THE_MAKING = (
    "model",
    "dataset",
    "pretext_dataset",
    "split_seed",
    "splits_dir",
    "fingerprint",
    "labelled_fingerprint",
)
_LEAST_SHARE = 32
"""Images of a pretraining step that a worker is worth its start and its part in every collective for."""


def run_session(
    request: SweepRequest,
    storage: str,
    document: Mapping[str, Any],
    address: str | None,
    budget: Budget | None,
    view: View,
    splits_optional: bool = False,
) -> SweepOutcome:
    """Run or go on with a sweep.

    Args:
        request: what was asked for.
        storage: absolute.
        document: sweep.json as it is; for a new sweep only "pretrain".
        address: of the cluster, or None.
        budget: limit on exploring.
        view: shows progress.
        splits_optional: as for `run_sweep`; matters to a new sweep alone.

    Raises:
        BadInputError: something doesn't fit; no trial was started.
    """
    folder, what = f"sweeps/{request.name}", f"sweep {request.name}"
    check_free(storage, folder, what)
    # Only of a new sweep: what one began with can't be changed any more, and some of its trials may do well.
    is_new = "fingerprint" not in document
    checkpoint: CheckpointFacts | None = None
    if is_new:
        check_request(request)
        checkpoint = check_pretrained(request, bool(document["pretrain"]))

    def checked(facts: DataFacts) -> tuple[DataFacts, tuple[str, ...]]:
        if is_new and not splits_optional:
            facts.require_split(request.dataset)
        return facts, () if checkpoint is None else checkpoint.on_data(request.dataset, facts)

    data, cache_side = DataChoice.of(request), request.space.settings({}).cache_side
    known_here = None if address else checked(inspect_data(data, cache_side))
    # Ray installs a SIGTERM handler of its own when it connects: ours must come after it.
    with connected(address, request.workers_per_trial) as cluster, interruptible() as interrupt:
        shape = cluster.shape(request.workers_per_trial, f"{storage}/{folder}/ray")
        if budget is not None and budget.of == "gpu" and not shape.use_gpu:
            raise BadInputError(
                f"the budget is in GPU-hours, and {cluster.where} has no GPU: give a time instead, such as --budget 2h"
            )
        facts, notes = known_here or checked(inspect_remotely(data, cache_side))
        if is_new:
            document = {**document, "read": list(notes)}
        known = document.get("fingerprint", facts.fingerprint)
        if known != facts.fingerprint:
            raise BadInputError(
                f"the data of sweep {request.name} have changed: fingerprint {facts.fingerprint[:12]}, and "
                f"{known[:12]} when it began; put the old data back, or begin a new sweep"
            )
        start = _start_path(request, facts)
        with locked(storage, folder, what):
            write_sweep_document(storage, request.name, _document(request, document, facts, start))
            view.note(
                f"{request.name} on {cluster.where}: {_count(cluster.slots(shape), 'trial')} at a time, "
                f"{_count(shape.workers, 'worker')} each, on {'GPUs' if shape.use_gpu else 'CPUs'}; "
                f"results in {storage}"
            )
            for line in (f"data: {facts.in_words}", *notes):
                view.note(line)
            if not _provide_start(request, storage, start, cluster, shape, view, interrupt):
                return SweepOutcome(request.name, storage, finished=False, completed=0, problem=interrupt.reason)
            planner = run_experiment(request, storage, start, cluster, view, interrupt, budget)
    # Ray's own state of the run: resuming replays Parquet and never reads it.
    remove_folder(storage, f"{folder}/ray")
    return outcome_of(request.name, storage, planner, interrupt)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _start_path(request: SweepRequest, facts: DataFacts) -> str:
    if request.pretrained is not None:
        return f"sweeps/{request.name}/pretrained.pt"
    settings = request.space.settings({})
    return pretrained_path(settings, request.dataset, facts.fingerprint, request.space.protocol.seed)


def _document(request: SweepRequest, document: Mapping[str, Any], facts: DataFacts, start: str) -> dict[str, Any]:
    return {
        "created_at": datetime.now(UTC).isoformat(),
        **document,
        "request": request.model_dump(mode="json"),
        "fingerprint": facts.fingerprint,
        "labelled_fingerprint": facts.labelled_fingerprint,
        "validation_from": facts.validation_from,
        "data": facts.sizes | {"classes": facts.classes},
        "start": start,
        "git": git_state(),
        "versions": versions(),
        "command": shlex.join(["bissl-ray", *sys.argv[1:]]),
    }


def pretraining_workers(batch: int, places: int) -> int:
    """How many workers pretrain: all that the sweep will have, as far as they share the batch in useful pieces."""
    return max((n for n in range(2, places + 1) if batch % n == 0 and batch // n >= _LEAST_SHARE), default=1)


def _provide_start(
    request: SweepRequest,
    storage: str,
    start: str,
    cluster: Cluster,
    shape: GroupShape,
    view: View,
    stopped: Callable[[], bool],
) -> bool:
    """See to it that the pretrained models are in the storage; False if stopped meanwhile."""
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
    workers = pretraining_workers(settings.pretrain_batch, cluster.slots(shape) * shape.workers)
    order = Order(
        trial="pretrain",
        **asdict(DataChoice.of(request)),
        storage=storage,
        sweep=request.name,
        settings=settings.model_dump(),
        seed=request.space.protocol.seed,
        stages=("pretrain",),
        start=start,
    )
    view.note(
        f"pretraining {settings.backbone} ({settings.pretext}) for {_count(settings.pretrain_epochs, 'epoch')} "
        f"on {_count(workers, 'worker')}"
    )
    group = GroupShape(workers, shape.cpus_per_worker, shape.use_gpu, shape.run_dir)
    end = run_on_workers(order, group, _Pretraining(settings.pretrain_epochs, view), stopped)
    return end.result is not None and exists(storage, start)


class _Pretraining:
    """Shows pretraining as a phase of the sweep, epoch by epoch."""

    def __init__(self, epochs: int, view: View):
        self._epochs = epochs
        self._view = view
        self._begin = time.monotonic()
        self._first: int | None = None

    def advanced(self, advance: Advance) -> None:
        if advance.unit == "image":
            doing = None if advance.done == advance.total else decoding_words(advance.done, advance.total)
            elapsed = time.monotonic() - self._begin
            self._view.update(SweepProgress("pretraining (epochs)", self._epochs, 0, 1, 0, 0, elapsed, doing=doing))

    def note(self, line: str) -> None:
        self._view.note(line)

    def reported(self, row: dict[str, Any]) -> None:
        epoch, elapsed = row["epoch"], time.monotonic() - self._begin
        # Earlier epochs were an earlier attempt's.
        self._first = epoch - 1 if self._first is None else self._first
        left = elapsed / (epoch - self._first) * (self._epochs - epoch)
        self._view.update(SweepProgress("pretraining (epochs)", self._epochs, epoch, 1, 0, 0, elapsed, left))
