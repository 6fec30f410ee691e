"""How a pretext step keeps its activations (setting lower_memory), and what that takes, known before anything runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from bissl_ray.bilevel.curvature.memory import PeakBytes
from bissl_ray.bilevel.level import trainable
from bissl_ray.config.settings import Settings
from bissl_ray.data.sampling import global_batch
from bissl_ray.models import Backbone
from bissl_ray.models.recomputed import InChunks, meet_in_batch_norm, recomputed_blocks
from bissl_ray.training.free_memory import free_memory
from bissl_ray.training.models import Models
from bissl_ray.training.precision import autocast
from bissl_ray.training.trial import Trial

Way = Literal["whole", "blocks", "chunks"]
Loss = Callable[[nn.Module, Any], Tensor]

SPARE: Final = 0.8
"""Share of the free memory that an estimate may take: workspaces and what allocators round up are not in it."""


def pretext_step_loss(trial: Trial, batch: int) -> Loss:
    """L_P of a trial for its steps, in the way that is set; which one was chosen is said (collective).

    Args:
        trial: whose it is; its models are on its device.
        batch: images of a step, over all workers.

    Raises:
        BadInputError: as `choose_way`.
    """
    worker, pool = trial.worker, len(trial.data.splits.pretext)
    images = global_batch(pool, batch, worker.world_size) // worker.world_size
    # Agreed on: what is recomputed may reduce over workers.
    chosen = worker.agree(choose_way(trial.settings, trial.models, images, worker.device))
    if chosen.words is not None:
        trial.note(chosen.words)
    return in_way(chosen.way, trial.settings.lower_chunks, trial.pretext_loss)


def in_way(way: Way, chunks: int, loss: Loss) -> Loss:
    """The same loss, whose first derivatives are taken in that way.

    Args:
        way: "whole" gives the loss itself.
        chunks: parts of a worker's images, for "chunks".
        loss: of the lower backbone and a batch.
    """
    if way == "whole":
        return loss

    def by_blocks(backbone: nn.Module, batch: Any) -> Tensor:
        assert isinstance(backbone, Backbone)
        with recomputed_blocks(backbone):
            return loss(backbone, batch)

    def by_chunks(backbone: nn.Module, batch: Any) -> Tensor:
        assert isinstance(backbone, Backbone)
        return loss(InChunks(backbone, chunks), batch)

    return by_blocks if way == "blocks" else by_chunks


@dataclass(frozen=True)
class Chosen:
    """A way, and why, in a line; None where there was nothing to choose."""

    way: Way
    words: str | None = None


def choose_way(
    settings: Settings, models: Models, images: int, device: torch.device, free: int | None = None
) -> Chosen:
    """The way that a setting means here.

    Args:
        settings: the trial's.
        models: likewise.
        images: this worker's share of the largest batch of a pretext step.
        device: where it runs.
        free: bytes that the device has free beside models and optimizers; None: as it says itself.

    Raises:
        BadInputError: there is nothing that could be recomputed so in the backbone.
    """
    if settings.lower_memory != "auto":
        _check(settings, models.lower)
        return Chosen(settings.lower_memory)
    if free is None and device.type != "cuda":
        return Chosen("whole")
    free = free_memory(device) if free is None else free
    ways: list[Way] = ["whole", *ways_to_spare(models.lower)]
    taken = {way: step_memory(settings, images, way) for way in ways}
    way = next((way for way in ways if taken[way] <= SPARE * free), min(ways, key=lambda way: taken[way]))
    gib = 1 / 2**30
    return Chosen(
        way,
        f"lower_memory auto: {way}, as a pretext step of {images} images takes {taken['whole'] * gib:.2g} GiB whole, "
        f"{taken[way] * gib:.2g} so, and {free * gib:.2g} are free",
    )


def _check(settings: Settings, backbone: Backbone) -> None:
    """Refuse now what the first step would."""
    if settings.lower_memory == "chunks":
        InChunks(backbone, settings.lower_chunks)
    if settings.lower_memory == "blocks":
        with recomputed_blocks(backbone):
            pass


def ways_to_spare(backbone: Backbone) -> list[Way]:
    """The ways besides "whole" that are exact for a backbone; the cheaper in time first."""
    chunks: list[Way] = [] if meet_in_batch_norm(backbone) else ["chunks"]
    blocks: list[Way] = ["blocks"] if backbone.blocks() else []
    return chunks + blocks


def step_memory(settings: Settings, images: int, way: Way) -> int:
    """Most bytes that loss and gradient of a pretext step take at once, beside models and optimizer; in seconds.

    Counted with fake tensors on the CPU, which take no memory; what is left out, see `curvature_memory`.

    Args:
        settings: the trial's.
        images: one worker's.
        way: as of `in_way`.
    """
    with torch.random.fork_rng(devices=[]):
        models = Models.build(settings, torch.device("cpu"))
    loss = in_way(way, settings.lower_chunks, models.pretext.loss)
    params = [*trainable(models.lower), *trainable(models.pretext)]
    with FakeTensorMode(allow_non_fake_inputs=True), torch.enable_grad():
        batch = models.pretext.blank(images, settings.image_size)
        with PeakBytes() as counted:
            with autocast(settings.precision, torch.device("cpu")):
                value = loss(models.lower, batch)
            torch.autograd.grad(value, params, materialize_grads=True)
    return counted.bytes
