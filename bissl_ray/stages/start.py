"""The checkpoint that a stage starts from: checked, and put into the stage's models."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bissl_ray.config.requests import StageRequest
from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from bissl_ray.models import Checkpoint, load_backbone
from bissl_ray.preflight.checkpoints import notes_on_data
from bissl_ray.preflight.data import DataFacts
from bissl_ray.training.models import Models, check_upper


@dataclass(frozen=True)
class StartingPoint:
    """What a stage starts from.

    Attributes:
        content: as `Models.start_from` takes it.
        has_head: whether a downstream head of this dataset is among it.
        notes: what a person should know, one line each.
    """

    content: dict[str, dict[str, torch.Tensor]]
    has_head: bool
    notes: Sequence[str]


def fit_start(request: StageRequest, checkpoint: Checkpoint, facts: DataFacts) -> StartingPoint:
    """Fill a stage's models from a checkpoint, on the CPU.

    Args:
        request: of the stage; `start` names the file in error lines.
        checkpoint: what the file holds.
        facts: about the data.

    Raises:
        BadInputError: backbone or pretext head are of another architecture than the settings say, a model is to be
            evaluated that has no head for this dataset, or fine-tuned from an upper backbone that the file lacks.
    """
    choice, settings = request.start, request.settings
    assert choice is not None
    source = choice.file
    with torch.random.fork_rng(devices=[]):
        # What a partial checkpoint doesn't fill stays as it is drawn here.
        torch.default_generator.manual_seed(request.seed)
        models = Models.build(settings, torch.device("cpu"), get_dataset(request.dataset).task, facts.classes)
    begins_at = checkpoint.backbone
    if request.stage == "finetune" and settings.finetune_from == "upper":
        check_upper(settings, {"metadata": checkpoint.metadata, "upper": checkpoint.upper}, source)
        # In place of the lower one, so that a fresh head is warmed up on what is fine-tuned.
        begins_at = checkpoint.upper or checkpoint.backbone
    report = load_backbone(models.lower, begins_at, source, choice.allow_partial)
    notes = [str(report), *checkpoint.notes, *notes_on_data(source, checkpoint.metadata, request.dataset, facts)]
    parts = ["backbone"]
    if request.stage == "train" and checkpoint.pretext is None:
        notes.append(f"{source} has no pretext head: the lower level begins with a fresh one")
    elif request.stage == "train" and checkpoint.pretext is not None:
        left_out = models.take_pretext_head(checkpoint.pretext, choice.head or source, choice.allow_partial)
        if left_out is None:
            parts.append("pretext")
        else:
            notes.append(left_out)
    unfit = _why_no_head(request, checkpoint, facts, models)
    if unfit is None and request.stage != "train":
        models.downstream.load_state_dict(checkpoint.downstream or {})
        parts.append("downstream")
    if "score" in request.ways and unfit is not None:
        raise BadInputError(
            f"{source} has {unfit}: fine-tune it first ({_how_to_finetune(request, source)}), or judge its backbone as "
            "it is, with --knn or --linear-probe"
        )
    if request.stage == "finetune" and unfit is not None and checkpoint.downstream is not None:
        notes.append(f"{source} has {unfit}: fine-tuning begins with a fresh one")
    content = models.content()
    return StartingPoint({part: content[part] for part in parts}, unfit is None, notes)


def _how_to_finetune(request: StageRequest, source: str) -> str:
    words = ["bissl-ray", "finetune", "--start", source, "--dataset", request.dataset]
    words += [] if request.data.data_dir is None else ["--data-dir", request.data.data_dir]
    said = [name for name, origin in request.origins.items() if origin == "--set"]
    assigned = [f"{name}={getattr(request.settings, name)}" for name in said]
    return shlex.join([*words, *(word for each in assigned for word in ("--set", each))])


def _why_no_head(request: StageRequest, checkpoint: Checkpoint, facts: DataFacts, models: Models) -> str | None:
    """Why a checkpoint's downstream head can't be taken, in words; None where it can: its outputs are these classes."""
    head, made = checkpoint.downstream, checkpoint.metadata
    if head is None or made.get("dataset") != request.dataset:
        return f"no head for {request.dataset}"
    if made.get("class_names") != (None if facts.class_names is None else list(facts.class_names)):
        return f"a head for other classes of {request.dataset} than are found here"
    if _forms(head) != _forms(models.downstream.state_dict()):
        return f"a head of another form than {facts.classes} classes of {request.dataset} need"
    return None


def _forms(state: dict[str, torch.Tensor]) -> dict[str, tuple[torch.Size, bool]]:
    return {name: (tensor.shape, tensor.is_floating_point()) for name, tensor in state.items()}
