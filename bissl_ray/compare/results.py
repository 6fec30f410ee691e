"""What the sweeps of a comparison have found, and what each side cost in images."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bissl_ray.config.requests import Case, Comparison
from bissl_ray.config.settings import Settings
from bissl_ray.data import get_dataset
from bissl_ray.data.sampling import global_batch, steps_per_epoch
from bissl_ray.leaderboard.comparison.cases import CaseFacts, ComparisonBoard, Pipeline
from bissl_ray.leaderboard.comparison.pairing import compare_cases
from bissl_ray.leaderboard.edges import edges
from bissl_ray.search.history import control_settings, is_finished, planner_of
from bissl_ray.store import read_trials, to_rows
from bissl_ray.store.documents import read_sweep_document
from bissl_ray.store.paths import sweep_names
from bissl_ray.words import Phase


def board_of(comparison: Comparison, storage: str) -> ComparisonBoard:
    """Read what the sweeps of a comparison have found so far."""
    begun = sweep_names(storage)
    rows = [row for case in comparison.cases for row in to_rows(read_trials(storage, case.dataset, case.sweep))]
    facts = [_facts(case, storage, case.sweep in begun) for case in comparison.cases]
    return compare_cases(comparison.name, facts, rows)


def _facts(case: Case, storage: str, begun: bool) -> CaseFacts:
    metric = get_dataset(case.dataset).metric
    facts = CaseFacts(case.dataset, case.checkpoint, case.sweep, metric, finished=False)
    if not begun:
        return facts
    document = read_sweep_document(storage, case.sweep)
    request = document.request
    facts = replace(facts, metric=request.space.settings({}).objective or metric)
    planner, _ = planner_of(request, storage)
    bissl, control = planner.confirmed(Phase.CONFIRM), planner.confirmed(Phase.CONTROL)
    sizes, workers = document.data, request.workers_per_trial
    images: dict[Pipeline, TrainingImages] = {}
    if bissl:
        images["bissl"] = images_of_run(request.space.settings(bissl[0].point), sizes, workers, control=False)
    if control:
        settings = control_settings(request.space, control[0].point)
        images["finetuning"] = images_of_run(settings, sizes, workers, control=True)
    points = (runs[0].point if runs else None for runs in (bissl, control))
    return replace(
        facts,
        edges=[edge.sentence for edge in edges(request.space, *points)],
        finished=is_finished(planner),
        read=document.read,
        labelled={name: counted.labelled for name, counted in images.items()},
        unlabelled={name: counted.unlabelled for name, counted in images.items()},
    )


@dataclass(frozen=True)
class TrainingImages:
    """Images drawn for training steps and for the Hessians, over all workers.

    Attributes:
        labelled: by the head's warm-up, the upper level and fine-tuning.
        unlabelled: by the lower level; one counts once, whatever the number of its views.
    """

    labelled: int
    unlabelled: int


def images_of_run(settings: Settings, sizes: Mapping[str, int], workers: int, control: bool) -> TrainingImages:
    """Count the images of one whole run, from the head's warm-up to the end of fine-tuning.

    Args:
        settings: of the run; for the control those that it is given (see `experiment.control_settings`).
        sizes: images by split, "train" and "pretext" among them.
        workers: that share the run.
        control: whether it is plain fine-tuning, prolonged by what BiSSL's upper level sees.
    """
    train, pool = range(sizes["train"]), range(sizes["pretext"])
    upper = global_batch(len(train), settings.upper_batch, workers)
    tuned = global_batch(len(train), settings.finetune_batch, workers)
    head = settings.head_epochs * steps_per_epoch(train, settings.upper_batch, workers) * upper
    finetuning = settings.finetune_epochs * steps_per_epoch(train, settings.finetune_batch, workers) * tuned
    aligning = settings.alternations * settings.upper_steps * upper
    if control:
        return TrainingImages(head + finetuning + -(-aligning // tuned) * tuned, 0)
    drawn = settings.alternations * (settings.lower_steps + 1)  # the last of each alternation for the Hessian
    unlabelled = drawn * global_batch(len(pool), settings.lower_batch, workers)
    return TrainingImages(head + aligning + finetuning, unlabelled)
