"""Runs the sweeps of a comparison, all of them or what is left; or says what it would run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from bissl_ray.compare.controls import as_it_runs
from bissl_ray.config.data_choice import FOLDERS, DataChoice, Decoding
from bissl_ray.config.documents import ComparisonDocument, SweepDocument
from bissl_ray.config.options import SweepOptions
from bissl_ray.config.requests import Case, CheckpointChoice, Comparison
from bissl_ray.controls import CONTROLS, PLAIN
from bissl_ray.errors import BadInputError
from bissl_ray.progress import View
from bissl_ray.search.history import SweepOutcome, is_finished, planner_of
from bissl_ray.store.documents import git_state, now, read_document, read_sweep_document, versions, write_document
from bissl_ray.store.paths import sweep_names
from bissl_ray.sweep.run import Rehearsed, begin_sweeps, resume_sweep
from bissl_ray.workers.address import chosen_address
from bissl_ray.workers.place import OnCluster, Place, one_cluster

_OF_BISSL: Final = ("lower_lr", "upper_lr", "upper_weight_decay", "cg_iterations", "proximity_weight", "damping")


def read_comparison(storage: str, name: str) -> Comparison | None:
    """Read a comparison that was begun, None where there is none (raises BadInputError: its document is damaged)."""
    document = read_document(storage, name, ComparisonDocument)
    return None if document is None else document.comparison


def check_comparison(
    comparison: Comparison, storage: str, address: str | None, with_cost: bool = False
) -> dict[str, tuple[str, ...]]:
    """Refuse, before anything starts, what would stop a case half-way through the comparison.

    Args:
        comparison: its cases; those that have begun are taken to be right.
        storage: absolute.
        address: of the cluster, where the data must be, as `chosen_address` takes it.
        with_cost: whether to say what each will take.

    Returns:
        By sweep that has not begun, lines on its data and on its checkpoint: what was read of it, what matched, and
        what it may have seen.

    Raises:
        BadInputError: settings, checkpoints, data or a place that don't fit.
    """
    from bissl_ray.preflight.data import DataFacts
    from bissl_ray.preflight.session import looking
    from bissl_ray.preflight.steps import notes_on_steps
    from bissl_ray.preflight.sweeps import OF_THE_CHECKPOINT, CheckpointFacts, check_pretrained, check_request
    from bissl_ray.sweep.expected import cost_lines
    from bissl_ray.workers.place import Need

    known, begun = read_comparison(storage, comparison.name), sweep_names(storage)
    own = set() if known is None else {case.sweep for case in known.cases}
    # Cases share files of hundreds of megabytes, and datasets of a million files: each is looked at once.
    read: dict[tuple[CheckpointChoice | None, str], CheckpointFacts | None] = {}
    seen: dict[tuple[DataChoice, Decoding], DataFacts] = {}
    notes: dict[str, tuple[str, ...]] = {}
    fresh = [case for case in comparison.cases if case.sweep not in begun]
    if taken := sorted({case.sweep for case in comparison.cases} & set(begun) - own):
        raise BadInputError(f"there is a sweep {taken[0]!r} in {storage} already: choose another --name")
    for case in fresh:
        check_request(case.request)
    workers = max((case.request.workers_per_trial for case in comparison.cases), default=1)
    shares = [case.request.gpus_per_worker for case in comparison.cases if case.request.gpus_per_worker is not None]
    resources = next((case.request.resources for case in comparison.cases), {})
    need = Need(
        workers, "--workers-per-trial", in_process=False, gpu_share=min(shares, default=None), resources=resources
    )
    places: list[Place] = []
    with looking(need, storage, address, places.append) as inspect:
        for case in fresh:
            request = case.request
            settings = request.space.settings({})
            checkpoint = (request.pretrained, repr([getattr(settings, name) for name in OF_THE_CHECKPOINT]))
            if checkpoint not in read:
                read[checkpoint] = check_pretrained(request, pretrain=True)
            of_checkpoint = read[checkpoint]
            what = (request.data, settings.decoding)
            if what not in seen:
                seen[what] = inspect(*what)
            facts = seen[what]
            if not comparison.of_several_datasets:
                facts.require_split(case.dataset)
            told = () if of_checkpoint is None else of_checkpoint.on_data(case.dataset, facts)
            notes[case.sweep] = (f"data: {facts.in_words}", *told, *notes_on_steps(request, facts))
            if with_cost and places and isinstance(places[-1], OnCluster):
                coming = Rehearsed(facts, SweepDocument(request=request), places[-1])
                notes[case.sweep] += tuple(cost_lines(coming, storage))
    return notes


def plan_of(comparison: Comparison, left: Sequence[Case], read: Mapping[str, Sequence[str]]) -> list[str]:
    """Say what is left to run of a comparison.

    Args:
        comparison: all of it.
        left: the cases that are not finished.
        read: by sweep, what there is to say of its data and its checkpoint.
    """
    cases = len(comparison.cases)
    lines = [f"{comparison.name}: {cases} case{'' if cases == 1 else 's'}, {len(left)} of them to run", ""]
    for case in left:
        lines += [*_plan_of_case(case), *(f"  {line}" for line in read.get(case.sweep, ())), ""]
    return [*lines, "nothing was started; leave --dry-run out to start"]


def _plan_of_case(case: Case) -> list[str]:
    request, space = case.request, case.request.space
    plan, settings = space.protocol, space.settings({})
    own = request.pretrained
    source = f"pretrained here for {settings.pretrain_epochs} epochs" if own is None else own.file
    source = "fresh weights" if case.control == "scratch" else source
    control = CONTROLS[case.control]
    if space.parameters and (control.aligns or case.control == PLAIN):
        what = f"searched in {plan.trials} trials: {', '.join(space.parameters)}"
    elif case.control == PLAIN:
        what = ", ".join(f"{name} {getattr(settings, name):g}" for name in _OF_BISSL)
    else:
        what = control.words
    searched = ", ".join(space.finetune_parameters) or "nothing searched"
    tuned = plan.tuning_runs
    confirmed = min(plan.finalists, plan.trials) * plan.seeds
    runs = f"{tuned} fine-tuning run{'' if tuned == 1 else 's'}"
    name, sides = ("BiSSL", "each side") if case.control == PLAIN else (control.title, "of its own")
    return [
        case.sweep,
        f"  from {source} ({settings.backbone}, {settings.pretext})",
        f"  {name}: {what}",
        f"  {sides}: {runs} ({searched}), then {confirmed} runs over {plan.seeds} seeds,",
        "  then one look at the test split",
    ]


def run_comparison(
    comparison: Comparison,
    storage: str,
    address: str | None,
    view: Callable[[Case], AbstractContextManager[View]],
) -> Iterator[SweepOutcome]:
    """Run the cases that are not finished, one after another, on one cluster.

    Args:
        comparison: what to run; its document is written first.
        storage: absolute.
        address: of a running Ray cluster; None takes RAY_ADDRESS, else starts one here.
        view: shows the progress of a case.

    Yields:
        How each case ended that was run; nothing for one that was finished before.
    """
    _write(comparison, storage)
    left = unfinished(comparison, storage)
    together = any(case.request.workers_per_trial > 1 or case.request.pretrained is None for case in left)
    with one_cluster(chosen_address(address), together) if len(left) > 1 else nullcontext():
        for case in comparison.cases:
            if case.sweep not in sweep_names(storage):
                try:
                    request = as_it_runs(comparison, case, storage)
                except BadInputError as error:
                    yield SweepOutcome(case.sweep, storage, finished=False, completed=0, problem=str(error))
                    continue
                several = comparison.of_several_datasets
                asked = SweepOptions(storage=storage, pretrain=True, address=address, splits_optional=several)
                with view(case) as shown:
                    yield from begin_sweeps([(request, asked)], shown)
            elif not _has_ended(case, storage):
                folders = {name: getattr(case.request.data, name) for name in FOLDERS}
                with view(case) as shown:
                    yield resume_sweep(case.sweep, view=shown, storage=storage, address=address, **folders)


def unfinished(comparison: Comparison, storage: str) -> list[Case]:
    """The cases that have something left to run."""
    begun = sweep_names(storage)
    return [case for case in comparison.cases if case.sweep not in begun or not _has_ended(case, storage)]


def _has_ended(case: Case, storage: str) -> bool:
    """Whether nothing is left to run of what its sweep asks for now: it may have been extended by itself."""
    return is_finished(planner_of(read_sweep_document(storage, case.sweep).request, storage)[0])


def _write(comparison: Comparison, storage: str) -> None:
    known = read_document(storage, comparison.name, ComparisonDocument)
    document = known or ComparisonDocument(created_at=now(), comparison=comparison)
    write_document(
        storage, comparison.name, document.changed(comparison=comparison, git=git_state(), versions=versions())
    )
