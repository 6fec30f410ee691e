"""Goes on with a comparison: what is asked of it now, beside what it was asked for when it began."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from bissl_ray.compare.starts import Start, case_label, started_from
from bissl_ray.config.data_choice import FOLDERS, USED, DataPlaces
from bissl_ray.config.fixing import held
from bissl_ray.config.flags import flag_of
from bissl_ray.config.options import CompareOptions
from bissl_ray.config.requests import Case, Comparison
from bissl_ray.config.resolved import parse_assignments
from bissl_ray.controls import PLAIN
from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from bissl_ray.store.paths import absolute_path
from bissl_ray.workers.shape import read_resources

_NOT_OF_A_CASE: Final = ("name", "storage", "address", "pretrained", "pretrain_epochs", "pretrained_head", "control")


def joined(known: Comparison | None, asked: Comparison) -> Comparison:
    """Add what is asked for now to what a comparison has: cases of a dataset together, own pretraining by its length.

    Folders that are given otherwise than before are where the data lie now.

    Raises:
        BadInputError: a case that it has is asked for in another way.
    """
    cases = {} if known is None else {case.sweep: case for case in known.cases}
    for case in asked.cases:
        cases[case.sweep] = _moved(cases.get(case.sweep, case), case.request.data)
        if cases[case.sweep] != case:
            raise BadInputError(
                f"comparison {asked.name} has {case.dataset} from {case.checkpoint} already, with other settings: "
                "leave the options out to go on with it, or choose another --name"
            )
    datasets = list(dict.fromkeys(case.dataset for case in cases.values()))

    def place(case: Case) -> tuple[int, float, int, int]:
        data, own = case.request.data, case.request.pretrained is None
        epochs = case.request.space.settings({}).pretrain_epochs if own else 0
        return datasets.index(case.dataset), data.labels_per_class or math.inf, data.label_draw or 0, epochs

    return Comparison(name=asked.name, cases=tuple(sorted(cases.values(), key=place)))


def extended(known: Comparison, starts: Sequence[Start], asked: CompareOptions) -> Comparison:
    """Go on with a comparison, on its own datasets.

    Args:
        known: as it was asked for so far.
        starts: checkpoints to compare from as well, or those that it has, at the settings that it has.
        asked: what was given now. Folders are where its data lie now; what is said again must be as it was.

    Raises:
        BadInputError: something given would change what was asked for.
    """
    here = Comparison(name=known.name, cases=tuple(_moved(case, asked) for case in known.cases))
    partial = asked.allow_partial and any(start.pretrained is not None for start in starts)
    said = {name: value for name, value in asked.given().items() if name not in _NOT_OF_A_CASE}
    if partial:
        said.pop("allow_partial")
    mains = [case for case in here.cases if case.control == PLAIN]
    changed = [name for name, value in said.items() if not all(_has(case, name, value) for case in mains)]
    if changed:
        flags = " and ".join(flag_of(CompareOptions, name) for name in changed)
        raise BadInputError(
            f"comparison {known.name} has begun, and {flags} would change it: leave the options out to go on with it, "
            "or name what to add with --dataset or --pretrained"
        )
    kinds = dict.fromkeys(_kind(case) for case in here.cases)
    cases = [_from(here, kind, start, partial) for kind in kinds for start in starts]
    return joined(here, Comparison(name=known.name, cases=tuple(cases)))


def _moved(case: Case, folders: DataPlaces) -> Case:
    """The case with its data where they lie now; folders that it has no use for are passed over."""
    data = case.request.data
    used = {
        "data_dir": not get_dataset(data.dataset).embedded,
        "splits_dir": data.splits_dir is not None,
        "pretext_data_dir": data.pretext_dataset is not None,
    }
    now = replace(DataPlaces(), **{name: getattr(folders, name) for name in FOLDERS if used[name]})
    return case.model_copy(update={"request": case.request.model_copy(update={"data": data.moved(now)})})


def _has(case: Case, name: str, value: Any) -> bool:
    """Whether a case is as it would be if this were given."""
    request, space = case.request, case.request.space
    match name:
        case "seeds":
            return bool(space.protocol.seeds == value)
        case "trials":
            return bool(space.parameters) and bool(space.protocol.trials == value)
        case "assignments":
            given = parse_assignments(value)
            return all(setting in space.fixed and space.fixed[setting] == held for setting, held in given.items())
        case "data_dir" if get_dataset(request.dataset).embedded:
            return True  # it needs none
        case "allow_partial":
            return request.pretrained is not None and request.pretrained.allow_partial
        case "workers_per_trial" | "gpus_per_worker":
            return bool(getattr(request, name) == value)
        case "resources":
            return bool(request.resources == read_resources(value))
    return bool(getattr(request.data, name) == (absolute_path(value) if name in FOLDERS else value))


def _kind(case: Case) -> tuple[object, ...]:
    """What a comparison has further starts for: its data, but for where they lie."""
    data = case.request.data
    return data.dataset, *(getattr(data, name) for name in USED)


def _from(comparison: Comparison, kind: tuple[object, ...], start: Start, allow_partial: bool) -> Case:
    """A case from a checkpoint, the rest as the other cases of its kind have it."""
    own = [case for case in comparison.cases if _kind(case) == kind and case.control == PLAIN]
    model = next((case for case in own if case.checkpoint == case_label(start, case.request.data)), own[0]).request
    space = model.space
    if start.epochs not in (None, space.settings({}).pretrain_epochs):
        space = held(space, {"pretrain_epochs": start.epochs}, {})
    request = started_from(model, comparison.name, start, allow_partial).model_copy(update={"space": space})
    return Case(checkpoint=case_label(start, request.data), request=request)
