"""A search space with some of it held: what a comparison runs BiSSL at."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from bissl_ray.config import SearchSpace, Settings
from bissl_ray.config.refusal import refusal


def one_configuration(
    space: SearchSpace, point: Mapping[str, Any], pretraining: Mapping[str, Any], protocol: Mapping[str, Any]
) -> SearchSpace:
    """The space held at a point: what is left to search is fine-tuning, as long as before."""
    plan = space.protocol
    own = {name: value for name, value in point.items() if name not in space.finetune_parameters}
    one = {"trials": 1, "finalists": 1, "finetune_runs": plan.finalists * plan.finetune_runs, "early_stopping": False}
    return held(space, {**own, **pretraining}, {**one, **protocol})


def held(space: SearchSpace, fixed: Mapping[str, Any], protocol: Mapping[str, Any]) -> SearchSpace:
    """The space with more of it fixed and another plan."""
    mapping = space.to_mapping()
    for section in ("parameters", "finetune_parameters"):
        mapping[section] = {name: value for name, value in mapping[section].items() if name not in fixed}
    points = [{name: value for name, value in point.items() if name not in fixed} for point in mapping["known_good"]]
    changed = {
        **mapping,
        "fixed": {**mapping["fixed"], **fixed},
        "known_good": points if mapping["parameters"] else [],
        "protocol": {**mapping["protocol"], **protocol},
    }
    try:
        return SearchSpace.model_validate(changed)
    except ValidationError as error:
        raise refusal(error, lambda _: "command line", lambda _: Settings.model_fields) from error
