"""Setting `replay` of a trial: whether its steps and curvature products are recorded, and on which terms."""

from collections.abc import Callable
from typing import Final

import torch

from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError
from bissl_ray.replay import EAGER, CudaRecorder, Recorder, Replays
from bissl_ray.training.models import Models
from bissl_ray.training.worker import Worker, in_step

_TOLERANCE: Final = {"float32": 1e-6, "tf32": 1e-3, "bfloat16": 1e-2}
"""Relative difference of a step's replay from its eager result, by what its products are rounded to; kernels that add
in another order from run to run differ by as much."""


def recorder_for(device: torch.device) -> Recorder | None:
    """What records on a device; None where nothing can."""
    return CudaRecorder(device) if device.type == "cuda" else None


def replays_of(settings: Settings, models: Models, worker: Worker, say: Callable[[str], None]) -> Replays:
    """The recordings of a trial.

    Not with several workers: what is recorded would hold their collectives (batch norm, negatives).

    Args:
        settings: replay and precision are read.
        models: on their device.
        worker: this process among the trial's workers.
        say: takes a line for a person.

    Raises:
        BadInputError: replay is on and can't be had here; alike on every worker.
    """
    if settings.replay == "off":
        return EAGER
    recorder = recorder_for(worker.device)
    try:
        check_replay(settings.replay, worker.world_size, recorder is not None)
    except BadInputError as error:
        raise in_step(error) from None
    if recorder is not None and worker.world_size > 1:
        say("replay auto: steps run eagerly, as their collectives over several workers are not recorded")
    if recorder is None or worker.world_size > 1:
        return EAGER
    modules = [module for module in (models.lower, models.pretext, models.upper, models.task) if module is not None]
    return Replays(
        recorder,
        must=settings.replay == "on",
        buffers=lambda: [buffer for module in modules for buffer in module.buffers()],
        say=say,
        tolerance=_TOLERANCE[settings.precision],
    )


def check_replay(replay: str, workers: int, on_gpu: bool) -> None:
    """Refuse what can't be recorded.

    Args:
        replay: the setting.
        workers: of a trial.
        on_gpu: whether they have GPUs.

    Raises:
        BadInputError: replay is on where there is no GPU, or with several workers.
    """
    if replay != "on":
        return
    if not on_gpu:
        raise BadInputError("replay is on, and there is no CUDA device to record on; set it to auto or off")
    if workers > 1:
        raise BadInputError(
            f"replay is on, and {workers} workers share a trial, whose collectives are not recorded; set it to auto or "
            "off, or give a trial 1 worker"
        )
