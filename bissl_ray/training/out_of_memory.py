"""A stage that ran out of memory: one line with what it asked for, what was free, and what would fit."""

import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

import torch

from bissl_ray.bilevel.curvature.memory import CurvatureMemory
from bissl_ray.config.settings import Settings
from bissl_ray.training.curvature import estimate_curvature_memory
from bissl_ray.training.free_memory import free_memory
from bissl_ray.training.lower_memory import SPARE, step_memory, ways_to_spare
from bissl_ray.training.models import Models
from bissl_ray.training.order import Order, batches_of

T = TypeVar("T")

_GIB: Final = 2**30
_ON_CPU: Final = "DefaultCPUAllocator"


class StageOutOfMemoryError(RuntimeError):
    """There was too little memory for a stage; the message says in a line what would fit.

    Attributes:
        again: the order for a second try that takes less; None: there is none.
    """

    again: Order | None = None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory could not be had, of a GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and _ON_CPU in str(error)
    )


def run_within_memory(run: Callable[[], T], stage: str, settings: Settings, workers: int, device: torch.device) -> T:
    """Run a stage, or what comes before it; where memory runs out, say so in words.

    Args:
        run: the stage; what it gives is passed on.
        stage: its name.
        settings: of the trial.
        workers: that share its batches.
        device: where this one runs.

    Raises:
        StageOutOfMemoryError: instead of what says that memory could not be had.
    """
    try:
        return run()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Outside of the block: the error holds the frames that it passed through, and they what filled the memory.
    gc.collect()
    raise StageOutOfMemoryError(out_of_memory_line(stage, settings, workers, device, free_memory(device)))


def out_of_memory_line(stage: str, settings: Settings, workers: int, device: torch.device, free: int) -> str:
    """What to say of a stage that ran out of memory.

    Args:
        stage: its name.
        settings: of the trial.
        workers: that share its batches.
        device: where one of them runs.
        free: bytes that it had beside models and optimizers.
    """
    needs = list(_needs(stage, settings, workers))
    larger = [need for need in needs if need.bytes > SPARE * free] or needs
    of_each = [" or ".join(need.remedies(free)) for need in larger]
    remedies = ", and ".join(words for words in of_each if words)
    takes = "; ".join(f"{need.what} takes about {_gib(need.bytes)}" for need in needs)
    batches = " and ".join(f"{name} {getattr(settings, name)}" for name in batches_of([stage]))
    asked = takes or f"{batches or 'its images'} of {settings.image_size} px did not fit"
    if not remedies and not needs:
        remedies = " or ".join(f"{name} {getattr(settings, name) // 2}" for name in batches_of([stage]))
    remedies = remedies or "a smaller image_size, backbone or head"
    remedies += "" if settings.replay == "off" else ", or replay: off"
    return (
        f"stage {stage} ran out of memory on {'the CPU' if device.type == 'cpu' else device}, {_gib(free)} being free "
        f"for it: {asked}; try {remedies}"
    )


@dataclass(frozen=True)
class _Need:
    """What a part of a stage takes.

    Attributes:
        what: it is, in words.
        bytes: at most at once, by estimate.
        fixed: of them, those that don't grow with the batch.
        batch: the setting whose images it is proportional to.
        images: of that batch, over all workers.
        workers: that share them.
        others: other settings of it, each with what it would take then.
    """

    what: str
    bytes: int
    fixed: int
    batch: str
    images: int
    workers: int
    others: dict[str, int]

    def remedies(self, free: int) -> list[str]:
        """Settings that would fit into so many bytes, each by itself; none where nothing would."""
        share = (SPARE * free - self.fixed) / max(self.bytes - self.fixed, 1)
        fitting = int(self.images * share) // self.workers * self.workers
        smaller = [f"{self.batch} {fitting}"] if 2 * self.workers <= fitting < self.images else []
        fit = [f"{name} ({_gib(taken)})" for name, taken in self.others.items() if taken <= SPARE * free]
        return [*smaller, *fit]


def _needs(stage: str, settings: Settings, workers: int) -> Iterator[_Need]:
    batch = {"pretrain": "pretrain_batch", "bissl": "lower_batch", "joint": "lower_batch"}.get(stage)
    if batch is None:
        return
    images = getattr(settings, batch)
    # An estimate is worth no second failure.
    with suppress(RuntimeError, MemoryError):
        yield _pretext_step(settings, batch, images, workers)
    if stage == "bissl" and settings.solves:
        with suppress(RuntimeError, MemoryError):
            yield _curvature(settings, settings.curvature_batch or images, workers)


def _pretext_step(settings: Settings, batch: str, images: int, workers: int) -> _Need:
    way = "whole" if settings.lower_memory == "auto" else settings.lower_memory
    with torch.random.fork_rng(devices=[]):
        models = Models.build(settings, torch.device("cpu"))
    parameters = [*models.lower.parameters(), *models.pretext.head_parameters()]
    gradients = sum(parameter.numel() * parameter.element_size() for parameter in parameters)
    share = images // workers
    taken = step_memory(settings, share, way)
    others = [other for other in ways_to_spare(models.lower) if other != way]
    ways = {f"lower_memory: {other}": step_memory(settings, share, other) for other in others}
    what = f"a pretext step of {images:,} images of {settings.image_size} px"
    return _Need(what, taken, gradients, batch, images, workers, _less(ways, taken))


def _curvature(settings: Settings, images: int, workers: int) -> _Need:
    def with_(changes: dict[str, object]) -> CurvatureMemory:
        return estimate_curvature_memory(settings.model_copy(update=changes), workers)

    few: dict[str, object] = {"recycled_products": 0}
    again: dict[str, object] = {"curvature_products": "recompute"}
    taken = with_({})
    ways = {
        " with ".join(f"{name}: {value}" for name, value in changes.items()): with_(changes).total
        for changes in (few, again, {**again, **few})
    }
    what, others = f"the curvature on {images:,}", _less(ways, taken.total)
    return _Need(what, taken.total, taken.vectors, "curvature_batch", images, workers, others)


def _less(ways: dict[str, int], taken: int) -> dict[str, int]:
    return {name: other for name, other in ways.items() if other < taken}


def _gib(count: float) -> str:
    return f"{count / _GIB:,.2g} GiB" if count < 1000 * _GIB else f"{count / _GIB:,.0f} GiB"
