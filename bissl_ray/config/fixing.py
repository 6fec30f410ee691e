"""A search space with more of it fixed, and what is then left to run: what a comparison runs BiSSL at."""

from collections.abc import Mapping

from pydantic import ValidationError

from bissl_ray.config import SearchSpace, Settings, SettingValue
from bissl_ray.config.refusal import refusal

Values = Mapping[str, SettingValue]
"""Of settings, or of the protocol's keys, by name."""


def one_configuration(space: SearchSpace, point: Values, pretraining: Values, protocol: Values) -> SearchSpace:
    """The space held at a point: what is left to search is fine-tuning, as long as before."""
    own = {name: value for name, value in point.items() if name not in space.finetune_parameters}
    return held(space, {**own, **pretraining}, {**one_trial(space), **protocol})


def one_trial(space: SearchSpace) -> dict[str, SettingValue]:
    """The protocol's keys where there is nothing to search but fine-tuning, as long as before."""
    runs = space.protocol.finalists * space.protocol.finetune_runs
    return {"trials": 1, "finalists": 1, "finetune_runs": runs, "early_stopping": False}


def held(space: SearchSpace, fixed: Values, protocol: Values) -> SearchSpace:
    """The space with more of it fixed and another plan, tuned as `tuned_once` says."""
    mapping = space.to_mapping()
    for section in ("parameters", "finetune_parameters"):
        mapping[section] = {name: value for name, value in mapping[section].items() if name not in fixed}
    points = [{name: value for name, value in point.items() if name not in fixed} for point in mapping["known_good"]]
    changed = {
        **mapping,
        "fixed": {**mapping["fixed"], **fixed},
        "known_good": points if mapping["parameters"] else [],
        "protocol": {**mapping["protocol"], **protocol},
        "notes": space.notes,
    }
    try:
        return tuned_once(SearchSpace.model_validate(changed))
    except ValidationError as error:
        raise refusal(error, lambda _: "command line", lambda _: Settings.model_fields) from error


def tuned_once(space: SearchSpace) -> SearchSpace:
    """The space with one fine-tuning run per finalist where it searches nothing there: others would repeat it.

    Where it searches nothing at all, there is one finalist. For what begins now; a sweep that has begun keeps its
    numbers.
    """
    if space.finetune_parameters:
        return space
    once = {"finetune_runs": 1, "finetune_seeds": 1, **({} if space.parameters else {"finalists": 1})}
    why = {f"protocol.{name}": "nothing to search in fine-tuning" for name in once}
    protocol = space.protocol.model_copy(update=once)
    return space.model_copy(update={"protocol": protocol, "sources": {**space.sources, **why}})
