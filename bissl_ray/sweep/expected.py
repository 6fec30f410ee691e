"""What a sweep that could begin will take: from earlier sweeps in its storage, or from steps that are timed here."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import torch

from bissl_ray.config.settings import Settings
from bissl_ray.data.sampling import steps_per_epoch
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.numbers import count, duration
from bissl_ray.progress import Quiet
from bissl_ray.search.cost import work_of
from bissl_ray.search.estimate import Estimate, Pace, estimate
from bissl_ray.search.forecast import SEARCH
from bissl_ray.search.history import planner_of, work_of_sweep
from bissl_ray.search.pace import pace_of_earlier
from bissl_ray.search.plans import RunKind
from bissl_ray.store.paths import absolute_storage
from bissl_ray.sweep.run import Rehearsed
from bissl_ray.training.order import Order, of_method
from bissl_ray.words import Phase, Step
from bissl_ray.workers.launch import run_here

_ALTERNATIONS: Final = 3
_STEPS: Final = 40
"""Of the head's warm-up and of fine-tuning."""
_FINETUNING: Final[RunKind] = (Phase.CONFIRM, Step.TUNING)


def expected(rehearsed: Rehearsed, storage: str, pace: Pace | None = None) -> tuple[Estimate, Pace | None]:
    """Say what a sweep will take.

    Args:
        rehearsed: the sweep.
        storage: absolute.
        pace: of runs like its own; None: that of the newest sweep in the storage that is like it, if there is one.

    Returns:
        The estimate, and the pace that its times are by.
    """
    request, place = rehearsed.document.request, rehearsed.place
    pace = pace or pace_of_earlier(storage, request, place.has_gpus)
    planner, _ = planner_of(request, storage)
    sizes = rehearsed.facts.sizes
    alternations = request.space.settings(request.space.middle()).alternations
    work = work_of_sweep(request, sizes)
    return estimate(planner.to_come(), request.space.protocol, alternations, work, place.slots, pace), pace


def cost_lines(rehearsed: Rehearsed, storage: str, pace: Pace | None = None, hint: str = "") -> Iterator[str]:
    """What a sweep will take, in lines: gradients, time, and GPU-hours where it has GPUs.

    Args:
        rehearsed: the sweep.
        storage: as a person wrote it.
        pace: as of `expected`.
        hint: how to get a time where none is known.
    """
    found, pace = expected(rehearsed, absolute_storage(storage), pace)
    place = rehearsed.place

    def range_of(likely: float, most: float, written: Callable[[float], str]) -> str:
        if written(likely) == written(most):
            return f"about {written(likely)}"
        return f"about {written(likely)} ({written(most)} if no trial is stopped early)"

    gradients = range_of(found.gradients, found.most_gradients, lambda number: count(round(number)))
    yield f"cost: {gradients} gradients, one for each image or view"
    if found.seconds is None or found.most_seconds is None or pace is None:
        yield f"time: not known, as nothing like it has run in {storage}{hint}"
        return
    yield (
        f"time: {range_of(found.seconds, found.most_seconds, duration)}, {place.slots} at a time, {pace.source}"
        f"{'; pretraining comes before' if rehearsed.document.pretrain else ''}"
    )
    if place.gpus:
        hours = (f"{seconds * place.gpus / 3600:.2f}" for seconds in (found.seconds, found.most_seconds))
        yield f"GPU hours: about {' to '.join(hours)}"


def timed_here(rehearsed: Rehearsed) -> Pace:
    """Time a few steps of each stage in this process; nothing of them is kept.

    They are of one run, with the threads that a worker has; where several run at a time, each may be slower.

    Args:
        rehearsed: the sweep.

    Raises:
        BadInputError: its trials have several workers, or it runs on another machine.
        RunFailedError: a step failed, for a reason that a trial would fail for.
    """
    request, place = rehearsed.document.request, rehearsed.place
    if request.workers_per_trial > 1 or place.cluster.where != "this machine":
        raise BadInputError(
            "--calibrate times one worker on this machine, and the sweep's trials have "
            f"{request.workers_per_trial} on {place.cluster.where}: leave it out; after a first sweep, "
            "--dry-run goes by that"
        )
    settings = _short(request.space.settings(request.space.middle()), rehearsed.facts.sizes)
    runs: dict[RunKind, tuple[str, ...]] = {
        SEARCH: of_method(("head", "bissl"), settings),
        _FINETUNING: ("finetune",),
    }
    seconds, work = {}, {}
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(place.shape.cpus_per_worker)
        # A process pays for its first steps once: imports, kernels and files that nothing had read yet. A sweep's
        # workers stay for all trials, so that cost is in no trial's share.
        _seconds(rehearsed, settings.model_copy(update={"alternations": 1}), runs[SEARCH])
        for kind, stages in runs.items():
            seconds[kind] = _seconds(rehearsed, settings, stages)
            work[kind] = work_of(kind, settings, rehearsed.facts.sizes, 1)
    finally:
        torch.set_num_threads(threads)
    return Pace(seconds, work, "by a few steps of each stage that were timed here, one run alone")


def _seconds(rehearsed: Rehearsed, settings: Settings, stages: tuple[str, ...]) -> float:
    """How long these stages take in this process, with these settings."""
    request = rehearsed.document.request
    with tempfile.TemporaryDirectory(prefix="bissl-ray-") as nowhere:
        order = Order(
            trial="calibration",
            data=request.data,
            storage=nowhere,
            sweep=None,
            settings=settings,
            seed=request.space.protocol.seed,
            stages=stages,
            start="",
            fresh=True,
            keep_models=False,
        )
        result = run_here(order, Quiet(), lambda: False).result
    assert result is not None
    return float(result["seconds"])


def _short(settings: Settings, sizes: Mapping[str, int]) -> Settings:
    """The settings with as few steps as tell how long one takes."""

    def epochs(own: int, batch: int) -> int:
        each = steps_per_epoch(range(sizes["train"]), batch)
        return min(own, -(-_STEPS // each))

    changes = {
        "alternations": min(settings.alternations, _ALTERNATIONS),
        "head_epochs": epochs(settings.head_epochs, settings.upper_batch),
        "finetune_epochs": epochs(settings.finetune_epochs, settings.finetune_batch),
        "finetune_extra_images": 0,
        "alignment_every": 0,
    }
    return settings.model_copy(update=changes)
