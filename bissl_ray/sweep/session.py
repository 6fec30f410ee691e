"""One session of a sweep on a cluster: provide the pretrained models, run the experiment."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bissl_ray.config.documents import Session as SessionFacts
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.protocol import Budget
from bissl_ray.errors import RunFailedError
from bissl_ray.preflight.session import Session, session
from bissl_ray.progress import Note, View, wishes_of
from bissl_ray.search.history import SweepOutcome, outcome_of
from bissl_ray.store.documents import now, write_document
from bissl_ray.sweep.job import Ready, sweep_job
from bissl_ray.sweep.start import counted, provide_start
from bissl_ray.workers.place import Here, OnCluster

if TYPE_CHECKING:
    from bissl_ray.sweep.experiment import Ran


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
        jobs = [sweep_job(each.document, each.budget, each.splits_optional, most_groups) for each in sweeps]
        names, pretrains = ", ".join(sweep.name for sweep in sweeps), any(job.need.pretrains for job in jobs)
        command = f"{'sweep' if len(sweeps) == 1 else 'sweeps'} {names}"
        jobs[0] = replace(jobs[0], command=command, need=replace(jobs[0].need, pretrains=pretrains))
        every: list[tuple[ToRun, Session[Ready]]] = []
        for sweep, job in zip(sweeps, jobs, strict=True):
            first = every[0][1] if every else None
            every.append((sweep, stack.enter_context(session(job, storage, address, view, first))))
        # Imports Ray, whose environment had to be set before.
        from bissl_ray.sweep.experiment import Searched, run_experiment

        place, interrupt = every[0][1].place, every[0][1].interrupt
        assert not isinstance(place, Here)
        ready = []
        failed: dict[str, str] = {}
        for sweep, under_way in every:
            facts, document = under_way.prepared
            document = document.changed(session=_session(sweep, place))
            write_document(storage, sweep.name, document)
            _say(sweep, document, facts.in_words, storage, place, view)
            wishes_of(view).interrupted = interrupt
            place.wait_for_room(view, interrupt)
            try:
                provided = not interrupt() and provide_start(document, storage, place, view, interrupt)
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


def _session(sweep: ToRun, place: OnCluster) -> SessionFacts:
    limit = sweep.budget
    return SessionFacts(
        began_at=now(),
        where=place.cluster.where,
        groups=place.slots,
        gpus=place.gpus,
        budget_seconds=None if limit is None else limit.seconds,
        budget_of="wall" if limit is None else limit.of,
    )


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
            f"{sweep.name} on {place.cluster.where}: {counted(place.slots, 'trial')} at a time, "
            f"{counted(shape.workers, 'worker')} each, on {shape.on}; "
            f"results in {storage}"
        )
    )
    is_new = sweep.document.fingerprint is None
    for line in (f"data: {data}", *((*document.request.space.notes, *document.read) if is_new else ())):
        view.show(Note(line))
