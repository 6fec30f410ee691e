"""The checkpoint that a stage starts from: read here, checked, and put where all workers reach it."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from pyarrow.fs import FileType

from bissl_ray.errors import BadInputError
from bissl_ray.job.data_facts import DataFacts
from bissl_ray.models import Checkpoint, load_backbone, load_checkpoint
from bissl_ray.stages.request import StageRequest
from bissl_ray.store import open_storage
from bissl_ray.training.models import Models


@dataclass(frozen=True)
class StartingPoint:
    """What a stage starts from.

    Attributes:
        content: as `Models.start_from` takes it.
        has_head: whether a downstream head of this dataset is among it.
        notes: what a person should know, one line each.
    """

    content: dict[str, Any]
    has_head: bool
    notes: Sequence[str]


def read_start(path: str, head: str | None = None) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: a file of this machine, or a URI that pyarrow knows.
        head: file of its pretext head; None: in it, beside it, or none.

    Raises:
        BadInputError: there is none, or it can't be read.
    """
    if "://" not in path:
        return load_checkpoint(path, head)
    filesystem, place = open_storage(path)
    if filesystem.get_file_info(place).type != FileType.File:
        raise BadInputError(f"no checkpoint file at {path}: check the address")
    with tempfile.TemporaryDirectory() as folder, filesystem.open_input_file(place) as stream:
        copy = Path(folder, PurePosixPath(place).name)
        copy.write_bytes(stream.read())
        return load_checkpoint(copy, head)


def fit_start(request: StageRequest, checkpoint: Checkpoint, facts: DataFacts) -> StartingPoint:
    """Fill a stage's models from a checkpoint, on the CPU.

    Args:
        request: of the stage; `start` names the file in error lines.
        checkpoint: what the file holds.
        facts: about the data.

    Raises:
        BadInputError: backbone or pretext head are of another architecture than the settings say, or a model is to be
            evaluated that has no head for this dataset.
    """
    source, settings = str(request.start), request.validated_settings
    with torch.random.fork_rng(devices=[]):
        models = Models.build(settings, facts.classes, torch.device("cpu"), request.data.spec.task)
    report = load_backbone(models.lower, checkpoint.backbone, source, request.allow_partial)
    notes = [str(report), *checkpoint.notes, *_about_the_data(request, checkpoint, facts)]
    parts = ["backbone"]
    if request.stage == "train" and checkpoint.pretext is None:
        notes.append(f"{source} has no pretext head: the lower level begins with a fresh one")
    elif request.stage == "train" and checkpoint.pretext is not None:
        left_out = models.take_pretext_head(checkpoint.pretext, request.start_head or source, request.allow_partial)
        if left_out is None:
            parts.append("pretext")
        else:
            notes.append(left_out)
    head = checkpoint.downstream if checkpoint.metadata.get("dataset") == request.dataset else None
    fitting = head is not None and _shapes(head) == _shapes(models.downstream.state_dict())
    if fitting and request.stage != "train":
        models.downstream.load_state_dict(checkpoint.downstream or {})
        parts.append("downstream")
    if "score" in request.ways and not fitting:
        raise BadInputError(
            f"{source} has no head for {request.dataset}: fine-tune it first (bissl-ray finetune --start {source}), or "
            "judge its backbone as it is, with --knn or --linear-probe"
        )
    content = models.content()
    return StartingPoint({part: content[part] for part in parts}, fitting, notes)


def _about_the_data(request: StageRequest, checkpoint: Checkpoint, facts: DataFacts) -> list[str]:
    made = checkpoint.metadata
    if (made.get("dataset"), made.get("pretext_dataset")) != (request.dataset, request.pretext_dataset):
        return []
    if made.get("fingerprint") in (None, facts.fingerprint):
        return []
    return [
        f"{request.start} was made with another split of {request.dataset}, or with other files: images that are "
        "validation or test here may have been trained on"
    ]


def _shapes(state: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}
