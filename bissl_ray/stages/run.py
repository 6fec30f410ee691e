"""Run one stage of the pipeline by itself, in this process or on workers."""

import os
from pathlib import Path

from bissl_ray.errors import RunFailedError
from bissl_ray.models import check_twice_differentiable
from bissl_ray.preflight.checkpoints import read_checkpoint
from bissl_ray.preflight.data import DataFacts, inspect_data, inspect_remotely
from bissl_ray.stages.document import StageDocument, open_document
from bissl_ray.stages.outcome import StageOutcome
from bissl_ray.stages.plan import check_start, check_workers, order_of
from bissl_ray.stages.request import StageRequest
from bissl_ray.stages.start import StartingPoint, fit_start
from bissl_ray.store import check_writable
from bissl_ray.store.lock import check_free, locked
from bissl_ray.store.paths import absolute_storage
from bissl_ray.training.files import exists, remove_file, write_tensors
from bissl_ray.training.order import Order, stage_folder
from bissl_ray.workers.interrupt import Interrupt
from bissl_ray.workers.launch import Follower, RunEnd
from bissl_ray.workers.place import Runner, somewhere


def run_stage(request: StageRequest, storage: str | Path, address: str | None, view: Follower) -> StageOutcome:
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
        check_twice_differentiable(request.settings["backbone"], request.settings["image_size"])
    checkpoint = None if request.start is None else read_checkpoint(request.start, request.start_head)
    check_free(place, folder, what)
    check_writable(place)

    def prepared(facts: DataFacts) -> tuple[Order, StartingPoint | None, str]:
        facts.require_split(request.dataset)
        document.check_data(facts)
        start = None if checkpoint is None else fit_start(request, checkpoint, facts)
        return order_of(request, place, start), start, facts.in_words

    address = address or os.environ.get("RAY_ADDRESS") or None
    # What can be refused without a cluster is refused before one is started. Of another's, the workers see the data.
    cache_side = request.validated_settings.cache_side
    ready = None if address else prepared(inspect_data(request.data, cache_side))
    with somewhere(request, place, address) as (where, interrupt):
        order, start, data = ready or prepared(inspect_remotely(request.data, cache_side))
        with locked(place, folder, what):
            view.note(f"data: {data}")
            for line in () if start is None else start.notes:
                view.note(line)
            if exists(place, f"{folder}/progress.pt"):
                view.note(f"{request.name} was begun before: it goes on from its last saved progress")
            view.note(f"{request.name}: {where.words}; results in {place}/{folder}")
            test = {"test_split_looked_at": True} if request.split == "test" else {}
            document.write("running", stages=order.stages, **test, workers=request.workers, where=where.words)
            if start is not None and not exists(place, order.start):
                write_tensors(place, order.start, start.content)
            end = _run(order, where.run, document, view, interrupt)
    return StageOutcome(request, place, end.result is not None, end.result or {}, saved=end.saved)


def _run(order: Order, run: Runner, document: StageDocument, view: Follower, interrupt: Interrupt) -> RunEnd:
    """Run the order, and write down how that ended."""
    try:
        end = run(order, view, interrupt)
    except RunFailedError as error:
        document.write("failed", reason=str(error))
        raise
    except Exception as error:
        document.write("failed", reason=f"{type(error).__name__}: {' '.join(str(error).split())}")
        raise
    if end.result is None:
        document.write("interrupted")
        return end
    document.write("complete", result=end.result)
    if order.stages[0] != "pretrain":
        remove_file(order.storage, order.start)
    return end
