"""From what a person asked to compare to sweeps: one per dataset and checkpoint, each with its own control."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields

from bissl_ray.compare.controls import with_controls
from bissl_ray.compare.extend import extended, joined
from bissl_ray.compare.starts import Start, case_label, case_name, started_from, starts_of
from bissl_ray.config import SearchSpace, SettingValue, load_search_space
from bissl_ray.config.controls import controls_of
from bissl_ray.config.data_choice import DataPlaces
from bissl_ray.config.fixing import held, one_configuration
from bissl_ray.config.flags import flag_of
from bissl_ray.config.options import CompareOptions, SweepOptions, named_once
from bissl_ray.config.requests import Case, Comparison, SweepRequest
from bissl_ray.config.resolved import parse_assignments
from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from bissl_ray.search.history import planner_of
from bissl_ray.store import check_name
from bissl_ray.store.documents import read_sweep_document
from bissl_ray.sweep.run import prepare_request
from bissl_ray.words import Phase

OfDataset = Callable[[CompareOptions, str], CompareOptions]
"""Gives options as they are for one dataset, by its name."""


def _alike(asked: CompareOptions, dataset: str) -> CompareOptions:  # noqa: ARG001
    return asked


def prepare_comparison(
    asked: CompareOptions, name: str, storage: str, known: Comparison | None, of_dataset: OfDataset = _alike
) -> Comparison:
    """Turn what a person asked for into sweeps; nothing is written.

    Args:
        asked: as typed.
        name: of the comparison.
        storage: absolute.
        known: the comparison of that name, as it was asked for so far; None: it is new.
        of_dataset: what is asked of each dataset, where that differs.

    Raises:
        BadInputError: anything wrong, or something that would change what was asked for before.
    """
    starts = starts_of(asked)
    controls = () if asked.control is None else controls_of(asked.control)
    if asked.from_sweep is not None:
        found = joined(known, _of_winner(asked, name, storage, starts))
    elif known is None or asked.datasets or asked.space is not None:
        found = joined(known, _of_datasets(asked, name, of_dataset))
    else:
        found = extended(known, starts, asked)
    return with_controls(found, controls)


def _of_datasets(asked: CompareOptions, name: str, of_dataset: OfDataset) -> Comparison:
    """Cases of some datasets.

    Without `trials`, BiSSL runs at one configuration, the space's first known-good point, and only its fine-tuning is
    tuned; the control gets as many fine-tuning runs over the same points, and the same seeds.
    """
    given = parse_assignments(asked.assignments or ())
    plan = {} if asked.seeds is None else {"seeds": asked.seeds}
    names: list[str | None] = [*named_once("--dataset", asked.datasets or [])] or [None]
    cases = []
    for dataset in names:
        if dataset is not None:
            get_dataset(dataset)
        chosen = dataset or load_search_space(asked.space or "digits").dataset
        own = of_dataset(asked, chosen)
        starts = starts_of(own)
        if own.allow_partial and not any(start.pretrained for start in starts):
            raise BadInputError(
                "--allow-partial says how checkpoints are read, and none was given: add --pretrained FILE"
            )
        base = load_search_space(own.space or dataset or "digits", {"fixed": given} if given else None)
        for start in starts or [_embedded(chosen, base)]:
            pretraining = {} if start.epochs is None else {"pretrain_epochs": start.epochs}
            if asked.trials is None:
                space = one_configuration(base, _known_good(base, given), pretraining, plan)
            else:
                space = held(base, {**given, **pretraining}, {**plan, "trials": asked.trials})
            label = case_label(start, own)
            sweep = SweepOptions(
                dataset=chosen,
                space=space,
                name=case_name(check_name("comparison", name), chosen, label),
                pretrained=start.pretrained,
                pretrained_head=start.head,
                allow_partial=own.allow_partial and start.pretrained is not None,
                workers_per_trial=1 if own.workers_per_trial is None else own.workers_per_trial,
                gpus_per_worker=own.gpus_per_worker,
                resources=own.resources,
                **{each.name: getattr(own, each.name) for each in fields(DataPlaces)},
            )
            cases.append(Case(checkpoint=label, request=prepare_request(sweep)))
    return Comparison(name=name, cases=tuple(cases))


def _of_winner(asked: CompareOptions, name: str, storage: str, starts: Sequence[Start]) -> Comparison:
    """Cases at the winner of a finished sweep, over seeds that had no part in choosing it.

    Raises:
        BadInputError: there is no such sweep, it has no winner yet, or options were given that the sweep decides.
    """
    how = {"pretrained_head", "allow_partial"} if asked.pretrained else set()
    also = {"from_sweep", "control", "pretrained", "pretrain_epochs", "seeds", "storage", "address", "name", *how}
    if others := [flag_of(CompareOptions, given) for given in asked.given() if given not in also]:
        raise BadInputError(
            f"--from {asked.from_sweep} brings that sweep's dataset and settings: leave out {', '.join(others)}"
        )
    request = read_sweep_document(storage, str(asked.from_sweep)).request
    space, protocol, point = request.space, request.space.protocol, _winning_point(request, storage)
    fresh = {"first_seed": protocol.first_seed + protocol.seeds} | (
        {} if asked.seeds is None else {"seeds": asked.seeds}
    )
    own = request.pretrained
    cases = []
    for start in starts or [Start("own", pretrained=None if own is None else own.file)]:
        pretraining = {} if start.epochs is None else {"pretrain_epochs": start.epochs}
        started = started_from(request, check_name("comparison", name), start, asked.allow_partial)
        held_at = one_configuration(space, point, pretraining, fresh)
        label = case_label(start, request.data)
        cases.append(Case(checkpoint=label, request=started.model_copy(update={"space": held_at})))
    return Comparison(name=name, cases=tuple(cases))


def _winning_point(request: SweepRequest, storage: str) -> dict[str, SettingValue]:
    """The settings of a sweep's winner, as far as they are its own."""
    planner, _ = planner_of(request, storage)
    winner = planner.confirmed(Phase.CONFIRM)
    parent = winner[0].parent if winner else None
    if parent is None:
        raise BadInputError(
            f"--from {request.name}: the sweep has no confirmed configuration yet; finish it first: bissl-ray resume "
            f"{request.name}"
        )
    settled = request.space.settings({}).model_dump()
    return {
        setting: value
        for setting, value in planner.records[parent].point.items()
        if setting in request.space.parameters or (value != settled[setting] and not setting.startswith("pretrain_"))
    }


def _embedded(dataset: str, space: SearchSpace) -> Start:
    if not get_dataset(dataset).embedded:
        raise BadInputError(
            f"{dataset} needs a self-supervised checkpoint of {space.settings({}).backbone} to compare from: give "
            "--pretrained FILE, or --pretrain-epochs N to pretrain on its own training images first"
        )
    return Start(f"{space.settings({}).pretrain_epochs}ep")


def _known_good(space: SearchSpace, given: Mapping[str, SettingValue]) -> dict[str, SettingValue]:
    """The configuration to compare at: the first known-good point, less what was given otherwise."""
    # The one setting that is published per dataset and pretext: with it given, defaults do for the others.
    if not (space.known_good or "upper_lr" in given):
        raise BadInputError(
            f"the space for {space.dataset} has no known-good point of {space.settings({}).pretext} to compare at: "
            "give --trials N to search for one, --from SWEEP to take a sweep's winner, or --set upper_lr=VALUE"
        )
    point = space.known_good[0] if space.known_good else {}
    return {name: value for name, value in space.complete(point).items() if name not in given}
