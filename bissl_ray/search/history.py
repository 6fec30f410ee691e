"""A sweep as its records have it: what has run, what is left, and with which settings. Imports no Ray."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.config.settings import Settings
from bissl_ray.search.planner import Planner
from bissl_ray.search.proposals import Proposals, finetune_points
from bissl_ray.search.records import records_from_store
from bissl_ray.store import read_reports, read_trials, to_rows
from bissl_ray.words import Step

_UPPER_BUDGET: Final = ("alternations", "upper_steps", "upper_batch")


def planner_of(request: SweepRequest, storage: str) -> tuple[Planner, Proposals]:
    """Build the planner and Optuna's study by replaying what the store has of a sweep.

    Args:
        request: what the sweep was asked for.
        storage: where it is.
    """
    trials = read_trials(storage, request.dataset, request.name)
    reports = read_reports(storage, request.dataset, request.name)
    records = records_from_store(to_rows(trials), to_rows(reports))
    proposals = Proposals(request.space, [record for record in records if record.step == Step.SEARCH])
    return Planner(request.space.protocol, proposals, partial(finetune_points, request.space), records), proposals


def is_finished(planner: Planner) -> bool:
    """Whether all of a sweep has run, and no look at the test split has failed: resuming it looks again."""
    looks = (record.test_metric for record in planner.records.values())
    return planner.finished and not any(metric is not None and math.isnan(metric) for metric in looks)


def control_settings(space: SearchSpace, point: Mapping[str, Any]) -> Settings:
    """The settings of the control at a point of its own search.

    Where BiSSL's labelled budget is searched, the control gets the largest that there may be.
    """
    return space.settings(point).model_copy(update={name: space.largest(name) for name in _UPPER_BUDGET})
