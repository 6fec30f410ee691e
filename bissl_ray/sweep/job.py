"""A sweep as a job: what is asked of its space, its checkpoint, its data and the place where it runs."""

from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.protocol import Budget
from bissl_ray.config.requests import SweepRequest
from bissl_ray.errors import BadInputError
from bissl_ray.preflight.data import DataFacts
from bissl_ray.preflight.session import Job
from bissl_ray.preflight.steps import notes_on_steps
from bissl_ray.preflight.sweeps import CheckpointFacts, check_pretrained, check_request
from bissl_ray.store.documents import provenance
from bissl_ray.store.paths import sweep_documents
from bissl_ray.training.replay import check_replay
from bissl_ray.training.stages.pretrain import pretrained_path
from bissl_ray.workers.place import Need, OnCluster, Place

Ready = tuple[DataFacts, SweepDocument]
"""The facts about the data, and sweep.json with them."""


def sweep_job(
    document: SweepDocument, budget: Budget | None, splits_optional: bool, most_groups: int | None = None
) -> Job[Ready]:
    """Check what can be without data or cluster, and say how the rest is checked.

    Args:
        document: sweep.json as it is; of a new sweep, what was asked for.
        budget: limit on exploring.
        splits_optional: as in `SweepOptions`; matters to a new sweep alone.
        most_groups: at a time; None: as many as there is room for.

    Raises:
        BadInputError: settings, workers or checkpoint don't fit.
    """
    request = document.request
    # Only of a new sweep: what one began with can't be changed any more, and some of its trials may do well.
    is_new = document.fingerprint is None
    checkpoint: CheckpointFacts | None = None
    if is_new:
        check_request(request)
        checkpoint = check_pretrained(request, document.pretrain)

    def prepare(facts: DataFacts) -> tuple[DataFacts, SweepDocument]:
        if is_new and not splits_optional:
            facts.require_split(request.dataset)
        known = facts.written_to(document, "begin a new sweep")
        if is_new:
            read = () if checkpoint is None else checkpoint.on_data(request.dataset, facts)
            known = known.changed(read=(*read, *notes_on_steps(request, facts)))
        return facts, known.changed(start=_start_path(request, facts), **provenance())

    def suits(place: Place) -> None:
        for replay in request.space.every_value("replay"):
            check_replay(str(replay), request.workers_per_trial, place.has_gpus)
        if budget is not None and budget.of == "gpu" and isinstance(place, OnCluster) and not place.gpus:
            raise BadInputError(
                f"the budget is in GPU-hours, and {place.cluster.where} has no GPU: give a time instead, such as "
                "--budget 2h"
            )

    return Job(
        what=f"sweep {request.name}",
        folder=sweep_documents(request.name),
        data=request.data,
        decoding=request.space.settings({}).decoding,
        need=Need(
            request.workers_per_trial,
            "--workers-per-trial",
            in_process=False,
            pretrains=request.pretrained is None,
            gpu_share=request.gpus_per_worker,
            resources=request.resources,
            most_groups=most_groups,
        ),
        prepare=prepare,
        suits=suits,
        go_on=f"bissl-ray resume {request.name}",
    )


def _start_path(request: SweepRequest, facts: DataFacts) -> str:
    if request.pretrained is not None:
        return f"{sweep_documents(request.name)}/pretrained.pt"
    settings = request.space.settings({})
    return pretrained_path(settings, request.dataset, facts.pretext_fingerprint, request.space.protocol.seed)
