"""From what a person asked to compare to sweeps: one per dataset and checkpoint, each with its own control."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bissl_ray.compare.starts import Start, case_name, started_from
from bissl_ray.config import SearchSpace, load_search_space
from bissl_ray.config.fixing import held, one_configuration
from bissl_ray.config.requests import Case, Comparison, SweepRequest
from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from bissl_ray.search.history import planner_of
from bissl_ray.store import check_name, read_sweep_document
from bissl_ray.sweep.run import prepare_request, read_request


def prepare_comparison(
    name: str,
    datasets: Sequence[str] = (),
    starts: Sequence[Start] = (),
    *,
    space: str | Path | None = None,
    trials: int | None = None,
    seeds: int | None = None,
    settings: Mapping[str, Any] | None = None,
    allow_partial: bool = False,
    **others: Any,
) -> Comparison:
    """Turn what a person asked for into sweeps; nothing is written.

    Without `trials`, BiSSL runs at one configuration, the space's first known-good point, and only its fine-tuning is
    tuned; the control gets as many fine-tuning runs over the same points, and the same seeds.

    Args:
        name: of the comparison.
        datasets: names; none: the space's, else digits.
        starts: checkpoints; none: what the space pretrains on an embedded dataset's own images.
        space: search-space file or name; None takes each dataset's own.
        trials: explore trials that search BiSSL's configuration; None: it is not searched.
        seeds: of the confirmation; None: as the space says.
        settings: fixed values that have the last word, by setting.
        allow_partial: take what of the checkpoints fits the backbone.
        others: of every sweep, as for `prepare_request`: data_dir, workers_per_trial and the like.

    Raises:
        BadInputError: anything wrong.
    """
    if allow_partial and not any(start.pretrained for start in starts):
        raise BadInputError("--allow-partial says how checkpoints are read, and none was given: add --pretrained FILE")
    own: list[str | None] = [*datasets] or [None]
    cases = []
    for dataset in own:
        if dataset is not None:
            get_dataset(dataset)
        given = {} if settings is None else dict(settings)
        base = load_search_space(space or dataset or "digits", {"fixed": given} if given else None)
        chosen = dataset or base.dataset
        for start in starts or [_embedded(chosen, base)]:
            pretraining = {} if start.epochs is None else {"pretrain_epochs": start.epochs}
            plan = {} if seeds is None else {"seeds": seeds}
            if trials is None:
                chosen_space = one_configuration(base, _known_good(base, given), pretraining, plan)
            else:
                chosen_space = held(base, {**given, **pretraining}, {**plan, "trials": trials})
            request = prepare_request(
                chosen,
                space=chosen_space,
                name=case_name(check_name("comparison", name), chosen, start.label),
                pretrained=start.pretrained,
                pretrained_head=start.head,
                allow_partial=allow_partial and start.pretrained is not None,
                **others,
            )
            cases.append(Case(checkpoint=start.label, request=request))
    return Comparison(name=name, cases=tuple(cases))


def comparison_of_winner(
    name: str,
    sweep: str,
    starts: Sequence[Start] = (),
    *,
    storage: str,
    seeds: int | None = None,
    allow_partial: bool = False,
) -> Comparison:
    """Compare at the winner of a finished sweep, over seeds that had no part in choosing it.

    Args:
        name: of the comparison.
        sweep: whose winner, data and, unless others are given, checkpoint are taken.
        starts: checkpoints.
        storage: absolute, where the sweep is.
        seeds: of the confirmation; None: as the sweep had.
        allow_partial: take what of the checkpoints fits the backbone.

    Raises:
        BadInputError: there is no such sweep, or it has no winner yet.
    """
    request = read_request(read_sweep_document(storage, sweep), sweep)
    planner, _ = planner_of(request, storage)
    winner = planner.confirmed("confirm")
    parent = winner[0].parent if winner else None
    if parent is None:
        raise BadInputError(
            f"--from {sweep}: the sweep has no confirmed configuration yet; finish it first: bissl-ray resume {sweep}"
        )
    space, protocol = request.space, request.space.protocol
    settled = space.settings({}).model_dump()
    point = {
        setting: value
        for setting, value in planner.records[parent].point.items()
        if setting in space.parameters or (value != settled[setting] and not setting.startswith("pretrain_"))
    }
    fresh = {"first_seed": protocol.first_seed + protocol.seeds} | ({} if seeds is None else {"seeds": seeds})
    cases = []
    for start in starts or [Start("own", pretrained=request.pretrained)]:
        pretraining = {} if start.epochs is None else {"pretrain_epochs": start.epochs}
        update = {
            **started_from(request, check_name("comparison", name), start, allow_partial),
            "space": one_configuration(space, point, pretraining, fresh),
        }
        cases.append(Case(checkpoint=start.label, request=SweepRequest.model_validate({**dict(request), **update})))
    return Comparison(name=name, cases=tuple(cases))


def _embedded(dataset: str, space: SearchSpace) -> Start:
    if not get_dataset(dataset).embedded:
        raise BadInputError(
            f"{dataset} needs a self-supervised checkpoint of {space.settings({}).backbone} to compare from: give "
            "--pretrained FILE, or --pretrain-epochs N to pretrain on its own training images first"
        )
    return Start(f"{space.settings({}).pretrain_epochs}ep")


def _known_good(space: SearchSpace, given: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration to compare at: the first known-good point, less what was given otherwise."""
    # The one setting that is published per dataset and pretext: with it given, defaults do for the others.
    if not (space.known_good or "upper_lr" in given):
        raise BadInputError(
            f"the space for {space.dataset} has no known-good point of {space.settings({}).pretext} to compare at: "
            "give --trials N to search for one, --from SWEEP to take a sweep's winner, or --set upper_lr=VALUE"
        )
    point = space.known_good[0] if space.known_good else {}
    return {name: value for name, value in space.complete(point).items() if name not in given}
