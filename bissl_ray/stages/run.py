"""Run one stage of the pipeline by itself, in this process or on workers."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bissl_ray.errors import RunFailedError
from bissl_ray.job import environment
from bissl_ray.job.data_facts import DataFacts, inspect_data, inspect_remotely
from bissl_ray.job.interrupt import Interrupt, interruptible
from bissl_ray.job.lock import check_free, locked
from bissl_ray.job.places import absolute_storage
from bissl_ray.models import check_backbone
from bissl_ray.stages.document import StageDocument, open_document
from bissl_ray.stages.outcome import StageOutcome, View
from bissl_ray.stages.plan import check_start, check_workers, order_of
from bissl_ray.stages.request import StageRequest
from bissl_ray.stages.start import fit_start, read_start
from bissl_ray.store import check_writable
from bissl_ray.training.files import exists, remove_file, remove_folder, write_tensors
from bissl_ray.training.launch import Follower, run_here, run_on_workers
from bissl_ray.training.order import Order, stage_folder
from bissl_ray.training.workers import default_device

Runner = Callable[[Order, Follower, Callable[[], bool]], dict[str, Any] | None]


@dataclass(frozen=True)
class _Place:
    """Where a stage runs: how its data are looked at, how an order is run, and in words."""

    inspect: Callable[[], DataFacts]
    run: Runner
    words: str


def run_stage(request: StageRequest, storage: str | Path, address: str | None, view: View) -> StageOutcome:
    """Run a stage, or go on with it where it was interrupted.

    Args:
        request: what is asked for; of a name that has run before, the same as then.
        storage: folder or URI for its results.
        address: of a Ray cluster to join; None takes RAY_ADDRESS. Without either, one worker is this process, and
            several are a cluster that is started here.
        view: shows how it goes.

    Raises:
        BadInputError: anything wrong with the input; nothing was started.
        RunFailedError: it ended early, for a reason that can be said in words.
        KeyboardInterrupt: a second Ctrl-C.
    """
    place = absolute_storage(storage)
    folder, what = stage_folder(request.name), f"{request.stage} run {request.name}"
    document = open_document(place, request)
    if document.complete:
        return StageOutcome(request, place, True, document.content["result"], before=True)
    check_start(request)
    check_workers(request)
    if request.stage == "train":
        check_backbone(request.settings["backbone"], request.settings["image_size"])
    checkpoint = None if request.start is None else read_start(request.start, request.start_head)
    check_free(place, folder, what)
    check_writable(place)
    with _somewhere(request, place, address or os.environ.get("RAY_ADDRESS") or None) as (where, interrupt):
        facts = where.inspect()
        document.check_data(facts)
        start = None if checkpoint is None else fit_start(request, checkpoint, facts)
        order = order_of(request, place, start)
        with locked(place, folder, what):
            for line in () if start is None else start.notes:
                view.note(line)
            if exists(place, f"{folder}/progress.pt"):
                view.note(f"{request.name} was begun before: it goes on from its last saved progress")
            view.note(f"{request.name}: {where.words}; results in {place}/{folder}")
            test = {"test_split_looked_at": True} if request.split == "test" else {}
            document.write("running", stages=order.stages, **test, workers=request.workers, where=where.words)
            if start is not None and not exists(place, order.start):
                write_tensors(place, order.start, start.content)
            result = _run(order, where.run, document, view, interrupt)
    if result is None:
        return StageOutcome(request, place, False, {})
    remove_folder(place, f"{folder}/ray")
    return StageOutcome(request, place, True, result)


@contextmanager
def _somewhere(request: StageRequest, storage: str, address: str | None) -> Iterator[tuple[_Place, Interrupt]]:
    """Where the stage runs, for the duration of a `with` block in which Ctrl-C is a wish to stop."""
    if address is None and request.workers == 1:
        with interruptible() as interrupt:
            device = "on a GPU" if default_device().type == "cuda" else "on the CPU"
            yield _Place(lambda: inspect_data(request.data), run_here, f"{device}, in this process"), interrupt
        return
    environment.prepare(address)
    from bissl_ray.job.cluster import connected

    # What can be refused here is refused before a cluster is started.
    facts = None if address else inspect_data(request.data)
    # Ray installs a SIGTERM handler of its own when it connects: ours must come after it.
    with connected(address, request.workers) as cluster, interruptible() as interrupt:
        shape = cluster.shape(request.workers, f"{storage}/{stage_folder(request.name)}/ray", "--workers")

        def run(order: Order, follower: Follower, stop_asked: Callable[[], bool]) -> dict[str, Any] | None:
            return run_on_workers(order, shape, follower, stop_asked)

        workers = "1 worker" if request.workers == 1 else f"{request.workers} workers"
        words = f"on {workers} of {cluster.where}, on {'GPUs' if shape.use_gpu else 'CPUs'}"
        yield _Place(lambda: facts or inspect_remotely(request.data), run, words), interrupt


def _run(order: Order, run: Runner, document: StageDocument, view: View, interrupt: Interrupt) -> dict[str, Any] | None:
    """Run the order, and write down how that ended."""
    try:
        result = run(order, view, interrupt)
    except RunFailedError as error:
        document.write("failed", reason=str(error))
        raise
    except Exception as error:
        document.write("failed", reason=f"{type(error).__name__}: {' '.join(str(error).split())}")
        raise
    if result is None:
        document.write("interrupted")
        return None
    document.write("complete", reason=None, result=result)
    if order.stages[0] != "pretrain":
        remove_file(order.storage, order.start)
    return result
