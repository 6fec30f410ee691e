"""From a run to files: its model and its card."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bissl_ray.config.names import TIMM
from bissl_ray.config.options import Keys, ModelFormat
from bissl_ray.config.requests import CheckpointChoice
from bissl_ray.config.resolved import ResolvedSettings
from bissl_ray.config.settings import of_any_release
from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from bissl_ray.export.card import model_card
from bissl_ray.export.choice import ExportedRun, run_of
from bissl_ray.export.weights import model_weights, whole_weights
from bissl_ray.export.write import card_path, check_targets, write_model
from bissl_ray.models import Checkpoint
from bissl_ray.preflight.checkpoints import read_checkpoint
from bissl_ray.preflight.sources.address import named
from bissl_ray.store.documents import read_stage_document, read_sweep_document
from bissl_ray.store.paths import absolute_storage
from bissl_ray.training.files import exists


@dataclass(frozen=True)
class Target:
    """What is written where.

    Attributes:
        out: path or URI of the file; its name ends in the format.
        format: of the file.
        keys: whose parameter names; None: torchvision's, and timm's for a backbone of timm's.
        with_head: include the downstream head as the classification layer, where the run has one.
        force: replace what is there.
    """

    out: str
    format: ModelFormat
    keys: Keys | None = None
    with_head: bool = True
    force: bool = False


def export_model(run: ExportedRun, storage: str | Path, target: Target) -> str:
    """Write the model of a run, and its card beside it.

    Args:
        run: as `choose_run` gives it.
        storage: where its sweep is.
        target: what is written where.

    Returns:
        What was written, in a sentence or two.

    Raises:
        BadInputError: nothing was written, since the run has no model, the architecture has no such names, or a file
            can't be written.
    """
    row = run.row
    if not row["checkpoint"] or not exists(str(storage), row["checkpoint"]):
        raise BadInputError(
            f"trial {row['trial']} ({row['status']}) has no saved model in {storage}; name another one: "
            f"bissl-ray leaderboard --sweep {row['sweep']} lists them"
        )
    document = read_sweep_document(storage, row["sweep"])
    source = f"{absolute_storage(storage).rstrip('/')}/{row['checkpoint']}"
    content = _content(_with_settings(read_checkpoint(CheckpointChoice(file=source)), source))
    return _export(run, content, {"fingerprint": document.fingerprint, "data": document.data}, target)


def export_file(source: str, target: Target) -> str:
    """Write the model of a checkpoint file of ours, such as a stage that was run by itself leaves.

    Args:
        source: a path or a URI.
        target: what is written where.

    Returns:
        What was written, in a sentence or two.

    Raises:
        BadInputError: as `read_file` and `export_model`.
    """
    file = read_file(source)
    document = {**file.metadata, **_document_beside(source, file)}
    return _export(run_of(document), _content(file), document, target)


def read_file(source: str) -> Checkpoint:
    """Read a checkpoint file that says what run it came from.

    Args:
        source: a path or a URI.

    Raises:
        BadInputError: it can't be read, or neither a stage nor a sweep wrote it.
    """
    source = str(named(source))
    file = read_checkpoint(CheckpointChoice(file=source))
    if any(file.metadata.get(name) is None for name in ("dataset", "trial", "model")):
        raise _of_others(source)
    return _with_settings(file, source)


def _of_others(source: str) -> BadInputError:
    return BadInputError(
        f"{source} is no checkpoint that a stage or a sweep wrote; only these say what they hold: give the name of "
        "a trial, or such a file"
    )


def _with_settings(file: Checkpoint, source: str) -> Checkpoint:
    """The file, whose settings are such as this release reads (raises BadInputError)."""
    settings = file.metadata.get("settings")
    if settings is None:
        raise _of_others(source)
    ResolvedSettings.of(of_any_release(settings), f"{source}: settings")
    return file


def _content(file: Checkpoint) -> dict[str, Any]:
    return {"backbone": file.backbone, "downstream": file.downstream, "metadata": file.metadata}


def _document_beside(source: str, file: Checkpoint) -> Mapping[str, Any]:
    """What stage.json says of the data and the software of a stage's model; nothing where it lies elsewhere by now."""
    if "://" in source:
        return {}
    folder = Path(source).absolute().parent
    stages = folder.parent
    if stages.name != "stages" or folder.name != file.metadata["trial"] or not (folder / "stage.json").is_file():
        return {}
    # It is for the card alone: a damaged one is no reason to refuse the model.
    with suppress(BadInputError):
        document = read_stage_document(stages.parent, folder.name)
        if document is not None:
            return {name: getattr(document, name) for name in ("data", "git", "versions")}
    return {}


def _export(run: ExportedRun, content: Mapping[str, Any], document: Mapping[str, Any], target: Target) -> str:
    out, format, row = target.out, target.format, run.row
    check_targets(out, format, target.force)
    architecture = str(content["metadata"]["settings"]["backbone"])
    chosen: Keys = target.keys or ("timm" if architecture.startswith(TIMM) else "torchvision")
    spec = get_dataset(row["dataset"])
    whole = whole_weights(content, chosen, spec) if target.with_head else None
    weights = whole or model_weights(content, chosen, target.with_head)
    card = model_card(out, run, weights, content["metadata"], document, (spec.mean, spec.std))
    facts = {
        "architecture": architecture,
        "keys": chosen,
        "settings": json.dumps(content["metadata"]["settings"]),
        "data_fingerprint": str(document.get("fingerprint", "")),
    }
    write_model(out, format, weights.tensors, card, facts)
    layer = f"with {weights.classes} classes" if weights.classes else "without a classification layer"
    layer = f"{weights.kind} {layer}".lstrip()
    return f"{out}: {architecture} {layer}, {row['trial']} ({run.why})\n{card_path(out)}: its card, and how to load it"
