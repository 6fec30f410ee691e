"""Everything that can be refused before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from bissl_ray.config.requests import SweepRequest
from bissl_ray.data import get_dataset
from bissl_ray.downstream import check_task
from bissl_ray.errors import BadInputError
from bissl_ray.models import check_twice_differentiable, load_backbone
from bissl_ray.preflight.checkpoints import notes_on_pretrained, read_checkpoint
from bissl_ray.preflight.data import DataFacts
from bissl_ray.preflight.requests import CURVATURE, check_shares
from bissl_ray.training.models import Models
from bissl_ray.training.order import batches_of
from bissl_ray.training.pipeline import STAGES

OF_THE_CHECKPOINT = ("backbone", "pretext", "image_size", "projector_width", "projector_output")
"""Settings that a pretrained checkpoint fixes."""

OF_THE_BOARD = ("objective", "explore_by")
"""Settings that say what trials are compared by."""

OF_THE_DATA = ("cache_side", "exif_orientation")
"""Settings that say what the images are, and with them the fingerprint."""


@dataclass(frozen=True)
class CheckpointFacts:
    """What is known of a sweep's checkpoint, without its weights.

    Attributes:
        source: the file.
        notes: lines that say what was read and what matched.
        made: its metadata.
    """

    source: str
    notes: tuple[str, ...]
    made: Mapping[str, Any]

    def on_data(self, dataset: str, facts: DataFacts) -> tuple[str, ...]:
        """The notes, and what it may have seen of the data (raises BadInputError: labels of another split)."""
        return (*self.notes, *notes_on_pretrained(self.source, self.made, dataset, facts))


def check_pretrained(request: SweepRequest, pretrain: bool) -> CheckpointFacts | None:
    """Make sure that there is a backbone to start from, and that it and its head are of the right architecture.

    Args:
        request: of the sweep.
        pretrain: whether the user asked for pretraining on the dataset's own images.

    Returns:
        What is known of the checkpoint; None where none was given.

    Raises:
        BadInputError: no checkpoint and no wish to pretrain, or a checkpoint that doesn't fit.
    """
    settings = request.space.settings({})
    facts = None
    if request.pretrained is not None:
        facts = fitting_models(request).facts
    elif not (pretrain or get_dataset(request.dataset).embedded):
        raise BadInputError(
            f"{request.dataset} needs a self-supervised checkpoint of {settings.backbone}: give --pretrained FILE "
            f"(.pth, .pt or .safetensors), or --pretrain to pretrain on its own training images for "
            f"{settings.pretrain_epochs} epochs first"
        )
    check_twice_differentiable(settings.backbone, settings.image_size)
    return facts


@dataclass(frozen=True)
class Pretrained:
    """What a sweep starts from, as its checkpoint gave it.

    Attributes:
        models: the lower backbone, and the pretext head where there was one, have the checkpoint's weights.
        with_head: whether there was a pretext head.
        facts: what else is known of it.
    """

    models: Models
    with_head: bool
    facts: CheckpointFacts


def fitting_models(request: SweepRequest) -> Pretrained:
    """Read the checkpoint that a sweep was given: its backbone and, where it has one, its pretext head.

    Raises:
        BadInputError: the file can't be read, or backbone or head are of another architecture than the sweep's.
    """
    settings, choice = request.space.settings({}), request.pretrained
    assert choice is not None
    source, content = choice.file, read_checkpoint(choice)
    with torch.random.fork_rng(devices=[]):
        # What a partial checkpoint doesn't fill stays as it is drawn here.
        torch.default_generator.manual_seed(request.space.protocol.seed)
        models = Models.build(settings, torch.device("cpu"))
    report = load_backbone(models.lower, content.backbone, source, choice.allow_partial)
    notes = [str(report), *content.notes]
    if content.pretext is None:
        left_out: str | None = f"{source} has no pretext head: the lower level begins with a fresh one"
    else:
        left_out = models.take_pretext_head(content.pretext, choice.head or source, choice.allow_partial)
    notes += [left_out] if left_out else []
    return Pretrained(models, left_out is None, CheckpointFacts(source, tuple(notes), content.metadata))


def check_request(request: SweepRequest) -> None:
    """Make sure that the space and the workers fit together.

    Raises:
        BadInputError: a setting is searched that the one pretrained checkpoint fixes, or a batch can't be shared
            equally by the workers of a trial; or the dataset's task can't be built with the settings.
    """
    searched = [*request.space.parameters, *(name for point in request.space.known_good for name in point)]
    for name in OF_THE_CHECKPOINT:
        if name in searched:
            raise BadInputError(
                f"{name} can't be searched: all trials of a sweep start from one pretrained checkpoint, which "
                "fixes it; move it to fixed, and run one sweep for each value"
            )
    for name in OF_THE_DATA:
        if name in searched:
            raise BadInputError(
                f"{name} can't be searched: it says what the images are, which are the same for all trials of a sweep; "
                "move it to fixed, and run one sweep for each value"
            )
    for name in OF_THE_BOARD:
        if name in searched:
            raise BadInputError(
                f"{name} can't be searched: all trials of a sweep are compared by it; move it to fixed, and run one "
                "sweep for each value"
            )
    check_task(get_dataset(request.dataset), request.space.settings({}))
    space, workers = request.space, request.workers_per_trial
    proposed = {name: space.every_value(name) for name in (*batches_of(STAGES), *CURVATURE)}
    check_shares(proposed, STAGES, workers)
    for point in space.known_good:
        complete = space.complete(point)
        values = {name: (complete[name],) if name in complete else proposed[name] for name in proposed}
        check_shares(values, STAGES, workers)
