"""Reads what the sweeps of a comparison have found."""

from dataclasses import replace
from typing import Any

from bissl_ray.config.comparison import Case, Comparison
from bissl_ray.data import get_dataset
from bissl_ray.data.spec import METRIC_TITLES
from bissl_ray.leaderboard.compared import CaseFacts, ComparisonBoard, Pipeline
from bissl_ray.leaderboard.comparison import compare_cases
from bissl_ray.store import read_sweep_document, read_trials, sweep_names, to_rows
from bissl_ray.sweep.images import TrainingImages, images_of_run
from bissl_ray.sweep.replay import control_settings, is_finished, planner_of
from bissl_ray.sweep.run import read_request


def board_of(comparison: Comparison, storage: str) -> ComparisonBoard:
    """Read what the sweeps of a comparison have found so far."""
    begun = sweep_names(storage)
    rows: list[dict[str, Any]] = []
    for case in comparison.cases:
        rows += to_rows(read_trials(storage, case.dataset, case.sweep))
    facts = [_facts(case, storage, case.sweep in begun) for case in comparison.cases]
    return compare_cases(comparison.name, facts, rows)


def _facts(case: Case, storage: str, begun: bool) -> CaseFacts:
    metric = get_dataset(case.dataset).metric
    facts = CaseFacts(case.dataset, case.checkpoint, case.sweep, metric, METRIC_TITLES[metric], finished=False)
    if not begun:
        return facts
    document = read_sweep_document(storage, case.sweep)
    request = read_request(document, case.sweep)
    planner, _ = planner_of(request, storage)
    bissl, control = planner.confirmed("confirm"), planner.confirmed("control")
    sizes, workers = document["data"], request.workers_per_trial
    images: dict[Pipeline, TrainingImages] = {}
    if bissl:
        images["bissl"] = images_of_run(request.space.settings(bissl[0].point), sizes, workers, control=False)
    if control:
        settings = control_settings(request.space, control[0].point)
        images["finetuning"] = images_of_run(settings, sizes, workers, control=True)
    return replace(
        facts,
        finished=is_finished(planner),
        read=document.get("read", ()),
        labelled={name: counted.labelled for name, counted in images.items()},
        unlabelled={name: counted.unlabelled for name, counted in images.items()},
    )
