"""Everything that can be refused before anything starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch

from bissl_ray.config.request import SweepRequest
from bissl_ray.data import DataChoice, get_dataset
from bissl_ray.errors import BadInputError
from bissl_ray.models import Checkpoint, load_backbone, load_checkpoint
from bissl_ray.training.models import Models

_BATCHES = ("lower_batch", "upper_batch", "finetune_batch", "pretrain_batch")
_OF_THE_CHECKPOINT = ("backbone", "pretext", "image_size", "projector_width", "projector_output")


def chosen_data(request: SweepRequest) -> DataChoice:
    """The data that a sweep was asked to use."""
    return DataChoice(request.dataset, request.data_dir, request.split_seed, request.splits_dir)


@dataclass(frozen=True)
class DataFacts:
    """What a sweep writes down about its data, and shows.

    Attributes:
        fingerprint: of the files and the splits.
        classes: number of classes.
        sizes: images by split.
    """

    fingerprint: str
    classes: int
    sizes: dict[str, int]


def inspect_data(data: DataChoice) -> DataFacts:
    """Open a dataset and look at its splits, without decoding images.

    Raises:
        BadInputError: it is not there, incomplete or damaged.
    """
    splits = data.open()
    parts = {name: len(getattr(splits, name)) for name in ("pretext", "train", "validation", "test")}
    return DataFacts(splits.fingerprint, splits.classes, parts)


def check_pretrained(request: SweepRequest, pretrain: bool) -> None:
    """Make sure that there is a backbone to start from, and that it and its head are of the right architecture.

    Args:
        request: of the sweep.
        pretrain: whether the user asked for pretraining on the dataset's own images.

    Raises:
        BadInputError: no checkpoint and no wish to pretrain, or a checkpoint that doesn't fit.
    """
    settings = request.space.settings({})
    if request.pretrained is not None:
        fitting_models(request, load_checkpoint(request.pretrained))
    elif not (pretrain or get_dataset(request.dataset).embedded):
        raise BadInputError(
            f"{request.dataset} needs a self-supervised checkpoint of {settings.backbone}: give --pretrained FILE "
            f"(.pth, .pt or .safetensors), or --pretrain to pretrain on its own training images for "
            f"{settings.pretrain_epochs} epochs first"
        )


def fitting_models(request: SweepRequest, content: Checkpoint) -> Models:
    """Models with a checkpoint's weights, its backbone and, where it has one, its pretext head.

    Args:
        request: of the sweep; `pretrained` names the file in error lines.
        content: what the file holds.

    Raises:
        BadInputError: backbone or head are of another architecture than the sweep's.
    """
    models, source = Models.build(request.space.settings({}), 2, torch.device("cpu")), str(request.pretrained)
    load_backbone(models.lower, content.backbone, source)
    if content.pretext is not None:
        models.pretext.load_head(content.pretext, models.lower, source)
    return models


def check_request(request: SweepRequest) -> None:
    """Make sure that the space and the workers fit together.

    Raises:
        BadInputError: a setting is searched that the one pretrained checkpoint fixes, or a batch can't be shared
            equally by the workers of a trial.
    """
    searched = [*request.space.parameters, *(name for point in request.space.known_good for name in point)]
    for name in _OF_THE_CHECKPOINT:
        if name in searched:
            raise BadInputError(
                f"{name} can't be searched: all trials of a sweep start from one pretrained checkpoint, which "
                "fixes it; move it to fixed, and run one sweep for each value"
            )
    space, workers = request.space, request.workers_per_trial
    proposed = {name: space.every_value(name) for name in (*_BATCHES, "curvature_batch", "curvature_chunks")}
    _check_shares(proposed, workers)
    for point in space.known_good:
        complete = space.complete(point)
        _check_shares({name: (complete[name],) if name in complete else proposed[name] for name in proposed}, workers)


def _check_shares(possible: Mapping[str, Sequence[Any]], workers: int) -> None:
    """Refuse batches, and parts of the curvature batch, that the workers of some trial couldn't share equally."""
    sharers = "one worker" if workers == 1 else f"{workers} workers"
    for name in _BATCHES:
        for batch in possible[name]:
            if batch % workers:
                raise BadInputError(
                    f"{name} is {batch}{_in_some_trials(possible, name)}, which {sharers} can't share equally: make it "
                    f"a multiple of {workers}, or change --workers-per-trial"
                )
    cut = ("lower_batch", "curvature_batch", "curvature_chunks")
    for lower_batch, curvature_batch, chunks in product(*(possible[name] for name in cut)):
        images = lower_batch if curvature_batch is None else curvature_batch
        if images % (workers * chunks):
            share = "share equally" if chunks == 1 else f"cut into {chunks} equal parts{' each' if workers > 1 else ''}"
            raise BadInputError(
                f"the curvature is taken on {images} images{_in_some_trials(possible, *cut)}, which {sharers} can't "
                f"{share}: make curvature_batch a multiple of {workers * chunks}, or change curvature_chunks or "
                "--workers-per-trial"
            )


def _in_some_trials(possible: Mapping[str, Sequence[Any]], *names: str) -> str:
    """What to add where the value is one of several that the search may take."""
    several = [name for name in names if len(possible[name]) > 1]
    return f" in some trials (list the values of {' and '.join(several)} that fit, as categorical)" if several else ""
