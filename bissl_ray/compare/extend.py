"""Goes on with a comparison: what is asked of it now, beside what it was asked for when it began."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bissl_ray.compare.starts import Start, started_from
from bissl_ray.config.fixing import held
from bissl_ray.config.requests import Case, Comparison
from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from bissl_ray.store.paths import absolute_path

FOLDERS: Final = ("data_dir", "splits_dir", "pretext_data_dir")
"""Of a request: where data lie, which may change while they stay what they are."""


def joined(known: Comparison | None, asked: Comparison) -> Comparison:
    """Add what is asked for now to what a comparison has: cases of a dataset together, own pretraining by its length.

    Folders that are given otherwise than before are where the data lie now.

    Raises:
        BadInputError: a case that it has is asked for in another way.
    """
    cases = {} if known is None else {case.sweep: case for case in known.cases}
    for case in asked.cases:
        old = cases.get(case.sweep, case)
        cases[case.sweep] = _moved(old, {name: getattr(case.request, name) for name in FOLDERS})
        if cases[case.sweep] != case:
            raise BadInputError(
                f"comparison {asked.name} has {case.dataset} from {case.checkpoint} already, with other settings: "
                "leave the options out to go on with it, or choose another --name"
            )
    datasets = list(dict.fromkeys(case.dataset for case in cases.values()))

    def place(case: Case) -> tuple[int, int]:
        settings = case.request.space.settings({})
        return datasets.index(case.dataset), settings.pretrain_epochs if case.request.pretrained is None else 0

    return Comparison(name=asked.name, cases=tuple(sorted(cases.values(), key=place)))


def gone_on(known: Comparison, starts: Sequence[Start], given: Mapping[str, Any]) -> Comparison:
    """Go on with a comparison, on its own datasets.

    Args:
        known: as it was asked for so far.
        starts: checkpoints to compare from as well, or those that it has, at the settings that it has.
        given: what else was given, by keyword of `prepare_comparison`. Folders are where its data lie now; what is
            said again must be as it was.

    Raises:
        BadInputError: something given would change what was asked for.
    """
    here = Comparison(name=known.name, cases=tuple(_moved(case, given) for case in known.cases))
    partial = bool(given.get("allow_partial")) and any(start.pretrained is not None for start in starts)
    said = [name for name in given if not (name == "allow_partial" and partial)]
    changed = [name for name in said if not all(_has(case, name, given[name]) for case in here.cases)]
    if changed:
        flags = " and ".join(map(flag_of, changed))
        raise BadInputError(
            f"comparison {known.name} has begun, and {flags} would change it: leave the options out to go on with it, "
            "or name what to add with --dataset or --pretrained"
        )
    datasets = dict.fromkeys(case.dataset for case in here.cases)
    cases = [_from(here, dataset, start, partial) for dataset in datasets for start in starts]
    return joined(here, Comparison(name=known.name, cases=tuple(cases)))


def flag_of(name: str) -> str:
    """The flag that gives a keyword of `prepare_comparison`."""
    return "--set" if name == "settings" else f"--{name.replace('_', '-')}"


def _moved(case: Case, given: Mapping[str, Any]) -> Case:
    """The case with its data where they lie now."""
    request = case.request
    used = {
        "data_dir": not get_dataset(request.dataset).embedded,
        "splits_dir": request.splits_dir is not None,
        "pretext_data_dir": request.pretext_dataset is not None,
    }
    now = {name: absolute_path(given[name]) for name in FOLDERS if used[name] and given.get(name) is not None}
    return case.model_copy(update={"request": request.model_copy(update=now)})


def _has(case: Case, name: str, value: Any) -> bool:
    """Whether a case is as it would be if this were given."""
    request, space = case.request, case.request.space
    match name:
        case "seeds":
            return bool(space.protocol.seeds == value)
        case "trials":
            return bool(space.parameters) and bool(space.protocol.trials == value)
        case "settings":
            return all(setting in space.fixed and space.fixed[setting] == given for setting, given in value.items())
        case "data_dir" if get_dataset(request.dataset).embedded:
            return True  # it needs none
    return bool(getattr(request, name) == (absolute_path(value) if name in FOLDERS else value))


def _from(comparison: Comparison, dataset: str, start: Start, allow_partial: bool) -> Case:
    """A case from a checkpoint, the rest as the dataset's other cases have it."""
    own = [case for case in comparison.cases if case.dataset == dataset]
    model = next((case for case in own if case.checkpoint == start.label), own[0]).request
    space = model.space
    if start.epochs not in (None, space.settings({}).pretrain_epochs):
        space = held(space, {"pretrain_epochs": start.epochs}, {})
    update = {**started_from(model, comparison.name, start, allow_partial), "space": space}
    return Case(checkpoint=start.label, request=model.model_copy(update=update))
