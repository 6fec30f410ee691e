"""Run one stage of the pipeline by itself, in this process or on workers."""

from dataclasses import dataclass
from typing import Any

from bissl_ray.config.documents import StageDocument
from bissl_ray.config.requests import StageRequest
from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError, RunFailedError
from bissl_ray.preflight.data import unopened
from bissl_ray.preflight.session import rehearse, session
from bissl_ray.progress import Note, View
from bissl_ray.stages.job import Ready, check_start, job_of
from bissl_ray.stages.same import Compared
from bissl_ray.store.documents import now, provenance, read_stage_document, write_document
from bissl_ray.store.paths import absolute_storage
from bissl_ray.store.schema import Row
from bissl_ray.training.files import SavedProgress, exists, progress_file, remove_file, write_tensors
from bissl_ray.workers.interrupt import Interrupt
from bissl_ray.workers.launch import RunEnd
from bissl_ray.workers.place import OnCluster, Place


@dataclass(frozen=True)
class StageOutcome:
    """How a call of `run_stage` ended.

    Attributes:
        request: what was asked for.
        storage: where its folder is, absolute.
        finished: whether it ran to its end; False after an interruption.
        result: what it came to: metrics, checkpoint, seconds; empty after an interruption.
        before: whether it had finished before this call, which then did nothing.
        saved: after an interruption, whether it saved where it was then.
    """

    request: StageRequest
    storage: str
    finished: bool
    result: Row
    before: bool = False
    saved: bool = True

    @property
    def unlike_stored(self) -> bool:
        """Whether a trial that was run again came to something else, though nothing was to be otherwise."""
        again = self.result.get("again", {})
        return again.get("same") is False and not again["changed"]


def run_stage(request: StageRequest, storage: str, address: str | None, view: View) -> StageOutcome:
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
    begun = _document(place, request)
    if begun.status == "complete":
        return StageOutcome(request, place, True, begun.result, before=True)
    check_start(request)
    job = job_of(request, begun, place)
    with session(job, place, address, view) as under_way:
        ready, where = under_way.prepared, under_way.place
        if isinstance(where, OnCluster):
            where.want(1)
        lines = [*ready.lines, *(() if ready.again is None else ready.again.unlike_there(where.device))]
        if exists(place, progress_file(job.folder)):
            lines.append(f"{request.name} was begun before: it goes on from its last saved progress")
        for line in (*lines, f"{request.name}: {where.words}; results in {place}/{job.folder}"):
            view.show(Note(line))
        document = ready.document.changed(
            status="running",
            status_at=now(),
            reason=None,
            stages=ready.order.stages,
            workers=request.workers,
            where=where.words,
            test_split_looked_at=ready.document.test_split_looked_at or request.split == "test",
            **provenance(),
        )
        write_document(place, request.name, document)
        if ready.start is not None and not exists(place, ready.order.start):
            write_tensors(place, ready.order.start, ready.start.content)
        if isinstance(where, OnCluster):
            where.wait_for_room(view, under_way.interrupt)
        end = _run(ready, document, where, view, under_way.interrupt)
    return StageOutcome(request, place, end.result is not None, end.result or {}, saved=end.saved)


def rehearse_stage(request: StageRequest, storage: str, address: str | None) -> tuple[str, ...]:
    """Refuse what `run_stage` would, of what was given; what was not is not missed. Nothing is started or written.

    Args:
        request: what is asked for.
        storage: as of `run_stage`.
        address: as of `run_stage`.

    Returns:
        What there is to say of the data and the checkpoint, where data were given.

    Raises:
        BadInputError: as `run_stage`.
    """
    place = absolute_storage(storage)
    job = job_of(request, _document(place, request), place)
    with_data = request.data.data_dir is not None or get_dataset(request.dataset).embedded
    ready = rehearse(job, place, address, with_data)
    return () if ready is None else (*ready.lines, *unopened(request.data))


def _document(storage: str, request: StageRequest) -> StageDocument:
    """The document of a run that is begun, gone on with, or finished already.

    Raises:
        BadInputError: the name is taken, by another stage or by a run that was asked for something else; or its
            document can't be read.
    """
    known = read_stage_document(storage, request.name)
    if known is None:
        return StageDocument(created_at=now(), request=request)
    difference = request.difference(known.request)
    if difference is not None:
        raise BadInputError(
            f"{request.name} is the name of another run in {storage}, which was begun with other flags: here "
            f"{difference}; give the same flags to go on with it, or choose another --name"
        )
    return known.changed(request=request)


def _run(ready: Ready, document: StageDocument, place: Place, view: View, stop_asked: Interrupt) -> RunEnd:
    """Run the order, and write down how that ended."""
    order = ready.order
    compared = None if ready.again is None else Compared(view, ready.again, document.request)

    def write(status: str, **facts: Any) -> None:
        write_document(order.storage, order.trial, document.changed(status=status, status_at=now(), **facts))

    try:
        end = place.run(order, compared or view, stop_asked)
    except RunFailedError as error:
        if compared is None or not compared.ended_alike(str(error)):
            write("failed", reason=str(error))
            raise
        end = RunEnd(compared.judged({}, str(error)))
    except Exception as error:
        write("failed", reason=f"{type(error).__name__}: {' '.join(str(error).split())}")
        raise
    if end.result is None:
        write("interrupted")
        return end
    if compared is not None and "again" not in end.result:
        end = RunEnd(compared.judged(end.result))
    write("complete", result=end.result)
    if ready.start is not None:
        remove_file(order.storage, order.start)
    SavedProgress(order.storage, order.folder).clear()
    return end
