"""The main job: `run_sweep` and `resume_sweep`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from bissl_ray.config import SearchSpace, load_search_space
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.fixing import tuned_once
from bissl_ray.config.options import ResumeOptions, SweepOptions
from bissl_ray.config.protocol import Budget, parse_budget
from bissl_ray.config.requests import SweepRequest
from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from bissl_ray.preflight.data import DataFacts
from bissl_ray.preflight.requests import check_worker_count, checkpoint_choice, data_choice
from bissl_ray.progress import Quiet, View
from bissl_ray.search.history import SweepOutcome, is_finished, outcome_of, planner_of
from bissl_ray.store import check_name, check_writable
from bissl_ray.store.documents import now, read_document, read_sweep_document
from bissl_ray.store.paths import absolute_storage, sweep_names
from bissl_ray.sweep.warm import warm_sources
from bissl_ray.workers.address import chosen_address
from bissl_ray.workers.shape import check_gpu_share, read_resources

if TYPE_CHECKING:
    from bissl_ray.workers.place import OnCluster, Place


def prepare_request(asked: SweepOptions) -> SweepRequest:
    """Turn what a person asked for into a validated request; nothing is written (raises BadInputError)."""
    if asked.dataset is not None:
        get_dataset(asked.dataset)
    if asked.trials is not None and asked.trials < 1:
        raise BadInputError(f"--trials {asked.trials}: expected 1 or more")
    space = asked.space if isinstance(asked.space, SearchSpace) else _loaded(asked)
    dataset = asked.dataset or space.dataset
    get_dataset(dataset)
    data = data_choice(asked, dataset, space.protocol.seed)
    pretrained = checkpoint_choice("--pretrained", asked.pretrained, asked.pretrained_head, asked.allow_partial)
    check_worker_count("--workers-per-trial", asked.workers_per_trial)
    check_gpu_share(asked.gpus_per_worker, asked.workers_per_trial)
    name = f"{dataset}-{datetime.now():%Y%m%d-%H%M%S}" if asked.name is None else asked.name
    return SweepRequest(
        name=check_name("sweep", name),
        data=data,
        pretrained=pretrained,
        workers_per_trial=asked.workers_per_trial,
        gpus_per_worker=asked.gpus_per_worker,
        resources=read_resources(asked.resources),
        space=tuned_once(space),
        warm=() if asked.warm_from is None else warm_sources(asked.warm_from, space, absolute_storage(asked.storage)),
    )


def _loaded(asked: SweepOptions) -> SearchSpace:
    overrides = dict(asked.overrides or {})
    if asked.trials is not None:
        overrides["protocol"] = {**overrides.get("protocol", {}), "trials": asked.trials}
    return load_search_space(asked.space or asked.dataset or "digits", overrides)  # type: ignore[arg-type]


def run_sweep(dataset: str | None = None, *, view: View | None = None, **options: Any) -> SweepOutcome:
    """Search, confirm and test: BiSSL's hyperparameters for one dataset, and plain fine-tuning as its control.

    Args:
        dataset: name of a dataset; None: digits, which needs no download.
        view: shows progress; None shows nothing.
        options: what else is asked for, by the attributes of `bissl_ray.config.options.SweepOptions`: storage, space,
            overrides, trials, budget, warm_from, name, data_dir, splits_dir, pretext_dataset, pretext_data_dir,
            labels_per_class, unlabelled_images, label_draw, pretrained, pretrained_head, allow_partial, pretrain,
            workers_per_trial, gpus_per_worker, resources, max_groups, address.

    Returns:
        How it ended. Results: `bissl_ray.load_trials(storage)`.

    Raises:
        BadInputError: anything wrong with the input; nothing was started.
        KeyboardInterrupt: a second Ctrl-C.

    Example:
        >>> from bissl_ray import run_sweep, load_trials
        >>> outcome = run_sweep("digits", trials=4)  # doctest: +SKIP
        >>> load_trials(outcome.storage).to_pandas()  # doctest: +SKIP
    """
    asked = SweepOptions(dataset=dataset, **options)
    (outcome,) = begin_sweeps([(prepare_request(asked), asked)], view or Quiet())
    return outcome


def begin_sweeps(every: Sequence[tuple[SweepRequest, SweepOptions]], view: View) -> list[SweepOutcome]:
    """Run new sweeps as `prepare_request` put them: one, or several that share what they run on.

    Several have one storage, one cluster and the same worker groups: a group for which the first has nothing to run
    runs a trial of the next.

    Args:
        every: the sweeps; of the options, what doesn't concern the request is read here.
        view: shows progress.

    Returns:
        How each ended.

    Raises:
        BadInputError: anything wrong with the input of any of them; nothing was started.
    """
    documents = [_new_sweep(request, asked) for request, asked in every]
    from bissl_ray.sweep.session import ToRun, run_session

    if len(every) > 1:  # before a cluster is started for them
        for request, asked in every:
            rehearse_sweep(request, asked)
    sweeps = [
        ToRun(document, limit, asked.splits_optional)
        for (document, limit), (_, asked) in zip(documents, every, strict=True)
    ]
    _, asked = every[0]
    return run_session(sweeps, absolute_storage(asked.storage), asked.address, view, asked.max_groups)


@dataclass(frozen=True)
class Rehearsed:
    """A sweep that could begin.

    Attributes:
        facts: the data, looked at where they will be used.
        document: sweep.json as it would be written, with lines on the checkpoint.
        place: where it would run.
    """

    facts: DataFacts
    document: SweepDocument
    place: "OnCluster"


def rehearse_sweep(request: SweepRequest, asked: SweepOptions) -> Rehearsed:
    """Refuse what `begin_sweeps` would; nothing is started or written.

    Raises:
        BadInputError: as `begin_sweeps`.
    """
    document, limit = _new_sweep(request, asked)
    from bissl_ray.preflight.session import rehearse
    from bissl_ray.sweep.job import sweep_job

    job = sweep_job(document, limit, asked.splits_optional, asked.max_groups)
    places: list[Place] = []

    def suits(place: "Place") -> None:
        job.suits(place)
        places.append(place)

    ready = rehearse(replace(job, suits=suits), absolute_storage(asked.storage), asked.address)
    assert ready is not None
    facts, prepared = ready
    return Rehearsed(facts, prepared, cast("OnCluster", places[-1]))


def _new_sweep(request: SweepRequest, asked: SweepOptions) -> tuple[SweepDocument, Budget | None]:
    limit = None if asked.budget is None else parse_budget(asked.budget)
    chosen_address(asked.address)
    check_writable(absolute_storage(asked.storage))
    check_new(request.name, asked.storage)
    return SweepDocument(created_at=now(), request=request, pretrain=asked.pretrain), limit


def check_new(name: str, storage: str) -> None:
    """Make sure that a storage holds no sweep of that name yet, nor what is left of one (raises BadInputError)."""
    if name in sweep_names(absolute_storage(storage)):
        raise BadInputError(
            f"there is a sweep {name!r} in {storage} already: go on with `bissl-ray resume {name}`, or choose another "
            "--name"
        )
    read_document(absolute_storage(storage), name, SweepDocument)  # refuses one that is half removed


def resume_sweep(name: str, *, view: View | None = None, **options: Any) -> SweepOutcome:
    """Finish a sweep that was interrupted, or extend a finished one.

    Args:
        name: of the sweep.
        view: shows progress; None shows nothing.
        options: by the attributes of `bissl_ray.config.options.ResumeOptions`: storage, trials, budget, max_groups,
            address, and where data lie that have moved since.

    Raises:
        BadInputError: there is no such sweep, or fewer trials are asked for than it has.
    """
    (outcome,) = go_on([(name, ResumeOptions(**options))], view or Quiet())
    return outcome


def go_on(every: Sequence[tuple[str, ResumeOptions]], view: View) -> list[SweepOutcome]:
    """Finish or extend sweeps of one storage: one, or several that share the worker groups as in `begin_sweeps`.

    Args:
        every: the sweeps by name, with what is asked for.
        view: shows progress.

    Returns:
        How each ended; of one that was finished before, how that was.

    Raises:
        BadInputError: as `resume_sweep`; or several have groups of another shape each.
    """
    ended: dict[str, SweepOutcome] = {}
    left: list[tuple[SweepDocument, Budget | None]] = []
    for name, asked in every:
        limit = None if asked.budget is None else parse_budget(asked.budget)
        storage = absolute_storage(asked.storage)
        document = read_sweep_document(storage, name)
        check_writable(storage)
        request = document.request.model_copy(update={"data": document.request.data.moved(asked)})
        if asked.trials is not None:
            request = _extended(request, asked.trials)
        planner, _ = planner_of(request, storage)
        if is_finished(planner):
            ended[name] = outcome_of(name, storage, planner)
        else:
            left.append((document.changed(request=request), limit))
    _check_alike([document.request for document, _ in left])
    if left:
        from bissl_ray.sweep.session import ToRun, run_session

        _, asked = every[0]
        sweeps = [ToRun(document, limit) for document, limit in left]
        storage = absolute_storage(asked.storage)
        for outcome in run_session(sweeps, storage, asked.address, view, asked.max_groups):
            ended[outcome.name] = outcome
    return [ended[name] for name, _ in every]


def _check_alike(requests: Sequence[SweepRequest]) -> None:
    """Make sure that sweeps can share their worker groups (raises BadInputError)."""
    shapes = {(each.workers_per_trial, each.gpus_per_worker, *sorted(each.resources.items())) for each in requests}
    if len(shapes) > 1:
        found = ", ".join(f"{request.name} has {request.workers_per_trial}" for request in requests)
        raise BadInputError(
            f"sweeps that go on together share their worker groups, and these differ in workers per trial, or in "
            f"what each takes ({found} per trial): resume them one by one"
        )


def _extended(request: SweepRequest, trials: int) -> SweepRequest:
    """The request with so many explore trials in all (raises BadInputError: fewer than it has, or all alike)."""
    space = request.space
    planned = space.protocol.trials
    if trials < planned:
        raise BadInputError(f"--trials {trials}: the sweep was asked for {planned} already; expected more")
    if trials > planned and space.protocol.at_a_rung == "exploit":
        raise BadInputError(
            f"--trials {trials}: the {planned} of sweep {request.name} are one population, which no further trial can "
            "join; begin another sweep"
        )
    if trials > planned and not space.parameters:
        raise BadInputError(
            f"--trials {trials}: sweep {request.name} searches nothing, so all its trials would be the same"
        )
    # Who asks for more wants more, whatever the plateau that the sweep had come to.
    further = {"plateau": None, "target": None} if trials > planned else {}
    protocol = space.protocol.model_copy(update={"trials": trials, **further})
    return request.model_copy(update={"space": space.model_copy(update={"protocol": protocol})})
