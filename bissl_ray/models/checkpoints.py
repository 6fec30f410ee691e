"""Reads and makes checkpoints.

Our own file is a `torch.save` of one dict: format, version, backbone, pretext, metadata. Read as well: the published
BiSSL files, weights with torchvision's or timm's keys, and what common self-supervised code saves (`layouts`), from
.pth, .pt or .safetensors.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from bissl_ray.config.making import checked_making
from bissl_ray.errors import BadInputError
from bissl_ray.models.checks import check_finite
from bissl_ray.models.keep import how_to_keep
from bissl_ray.models.layouts import FoundBackbone, find_backbone
from bissl_ray.models.odd_tensors import NotPlainError, refuse_odd
from bissl_ray.models.plain_content import printable
from bissl_ray.models.tensor_files import beside, head_name, not_plain, read_settings, read_tensor_file, settings_name
from bissl_ray.models.trunks import SeveralTrunksError

_FORMAT = "bissl-ray checkpoint"
_VERSION = 1
_FURTHER_PARTS = ("pretext", "downstream", "upper")
_WIDTH_OF_MOCO_V3_SMALL = 384
_TOLD = ("backbone_arch", "img_size", "pretext_task", "projector_mlp", "dataset", "epochs")
"""Of published settings, those that a person compares with the own ones."""
_HEAD_PREFIXES = ("projector.", "predictor.")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds, on the CPU.

    Attributes:
        backbone: tensors by the architecture's own parameter names, or timm's; a classification layer may be among
            them, which `load_backbone` leaves out.
        pretext: state of the pretext task (projector.0.weight, ...), or None where there is none.
        metadata: plain values that were saved beside them, or published in a JSON file beside the tensors.
        downstream: state of the downstream task (head.weight, ...), or None where there is none.
        upper: after BiSSL, the upper level's backbone, likewise (`backbone` is the lower level's); else None.
        notes: what a person should know about how the file was read, in words.
    """

    backbone: dict[str, Tensor]
    pretext: dict[str, Tensor] | None
    metadata: dict[str, Any]
    downstream: dict[str, Tensor] | None = None
    notes: tuple[str, ...] = field(default=())
    upper: dict[str, Tensor] | None = None


def checkpoint_content(
    backbone_state: Mapping[str, Tensor],
    pretext_state: Mapping[str, Tensor] | None,
    metadata: Mapping[str, Any],
) -> dict[str, Any]:
    """What a checkpoint file of ours holds, ready for `torch.save`; further keys may be added.

    Args:
        backbone_state: a backbone's state dict.
        pretext_state: a pretext task's state dict, or None.
        metadata: None, booleans, numbers, strings, and lists or string-keyed dicts of these.

    Raises:
        TypeError: the metadata hold something else, which a safe reader would refuse.
    """
    _require_plain(dict(metadata), "metadata")
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "backbone": _on_cpu(backbone_state),
        "pretext": None if pretext_state is None else _on_cpu(pretext_state),
        "metadata": dict(metadata),
    }


def load_checkpoint(path: str | os.PathLike[str], head: str | os.PathLike[str] | None = None) -> Checkpoint:
    """Read a checkpoint of ours, or one that other code wrote.

    The published BiSSL files come in threes: ..._backbone_id-X.pth, ..._head_id-X.pth and ..._config_id-X.json. Given
    the first, the two others are found beside it.

    Args:
        path: the file with the backbone.
        head: a file with projector.* and predictor.* alone, to use as the pretext head.

    Raises:
        BadInputError: a file is missing, empty, damaged, holds anything but tensors and plain
            values, or numbers that are not finite; or no state dict is found in it.
    """
    source = Path(path)
    content, unread = read_tensor_file(source)
    ours = isinstance(content, dict) and _is(content.get("format"), _FORMAT)
    checkpoint = _ours(content, source) if ours else _foreign(content, source)
    if unread is not None:
        checkpoint = replace(checkpoint, notes=(*checkpoint.notes, unread))
    for state in (checkpoint.backbone, checkpoint.pretext, checkpoint.downstream, checkpoint.upper):
        check_finite(state or {}, source)
    if head is None and checkpoint.pretext is None:
        head = beside(source, head_name(source.name))
    if head is None:
        return checkpoint
    notes = (*checkpoint.notes, f"pretext head from {Path(head).name}")
    return replace(checkpoint, pretext=_head(Path(head)), notes=notes)


def _ours(content: dict[str, Any], source: Path) -> Checkpoint:
    if not _is(version := content.get("version"), _VERSION):
        found = version if isinstance(version, int | str) else f"a {type(version).__name__}"
        raise BadInputError(
            f"{source} has checkpoint version {printable(str(found))}, this release reads {_VERSION}: "
            "read it with the release that wrote it"
        )
    damaged = [] if _is_state(content.get("backbone")) else ["backbone"]
    damaged += [name for name in _FURTHER_PARTS if content.get(name) is not None and not _is_state(content[name])]
    damaged += [] if isinstance(content.get("metadata"), dict) else ["metadata"]
    if damaged:
        raise BadInputError(
            f"{source} says that it is a checkpoint of bissl-ray, but has no intact {' and '.join(damaged)}: fetch or "
            "write it again"
        )
    pretext, downstream, upper = map(content.get, _FURTHER_PARTS)
    try:
        for state in (content["backbone"], pretext, downstream, upper):
            refuse_odd(state or {})
    except NotPlainError as error:
        raise not_plain(source, error) from None
    return Checkpoint(
        content["backbone"], pretext, checked_making(content["metadata"], source), downstream, upper=upper
    )


def _is(found: object, expected: int | str) -> bool:
    """Whether a file's value is this one; what else it may hold, such as tensors, is not even compared."""
    return type(found) is type(expected) and found == expected


def _is_state(part: object) -> bool:
    return isinstance(part, dict) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in part.items()
    )


def _foreign(content: Any, source: Path) -> Checkpoint:
    found = _found(content, source)
    if found is None:
        keys = f" with keys {', '.join(map(str, list(content)[:3]))}" if isinstance(content, dict) and content else ""
        raise BadInputError(
            f"{source} holds {'a' if content else 'an empty'} {type(content).__name__}{keys}; "
            "expected tensors by name, bare or under 'state_dict' or 'model': "
            "save the state dict with torch.save(model.state_dict(), path)"
        )
    _refuse_other_heads(found, source)
    head = {key: tensor for key, tensor in found.state.items() if key.startswith(_HEAD_PREFIXES)}
    backbone = {key: tensor for key, tensor in found.state.items() if key not in head}
    notes = [f"read as {found.layout}, {found.others} other tensors left out"] if found.layout else []
    notes += [found.note] if found.note else []
    metadata: dict[str, Any] = {}
    settings = beside(source, settings_name(source.name))
    if settings is not None:
        published = read_settings(settings)
        metadata["published"] = published
        told = [f"{name} {printable(str(published[name]))}" for name in _TOLD if name in published]
        notes += [f"published as trained with {', '.join(told)} ({settings.name})"] if told else []
    return Checkpoint(backbone, head or None, metadata, notes=tuple(notes))


def _found(content: Any, source: Path) -> FoundBackbone | None:
    """As `find_backbone`; raises BadInputError where the file holds several."""
    try:
        return find_backbone(content)
    except NotPlainError as error:
        raise not_plain(source, error) from None
    except SeveralTrunksError as error:
        raise BadInputError(
            f"{source}: {error}, and does not say which is the backbone; keep one in a file of its own, and give that: "
            f"{how_to_keep(source, error.prefixes[0])}"
        ) from None


def _refuse_other_heads(found: FoundBackbone, source: Path) -> None:
    """Attention heads show in no shape: weights made for 12 would load into 6 and compute something else."""
    token = found.state.get("cls_token")
    if found.layout.startswith("MoCo v3") and token is not None and token.shape[-1] == _WIDTH_OF_MOCO_V3_SMALL:
        raise BadInputError(
            f"{source} is the small transformer of MoCo v3 with 12 heads, which no backbone here computes: give the "
            "base one, or a residual network's"
        )


def _head(source: Path) -> dict[str, Tensor]:
    found = _found(read_tensor_file(source).content, source)
    state = {} if found is None else found.state
    head = {key: tensor for key, tensor in state.items() if key.startswith(_HEAD_PREFIXES)}
    if not head or len(head) < len(state):
        raise BadInputError(
            f"{source} holds {len(head)} tensors of a pretext head and {len(state) - len(head)} others; expected "
            "projector.* and predictor.* alone: give the head's file"
        )
    check_finite(head, source)
    return head


def _on_cpu(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # Cloned, because torch.save writes the whole storage behind a view.
    return {key: tensor.detach().to("cpu", copy=True).contiguous() for key, tensor in state.items()}


def _require_plain(value: object, where: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}; expected strings as keys")
            _require_plain(item, f"{where}[{key!r}]")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            _require_plain(item, f"{where}[{position}]")
    elif value is not None and type(value) not in (bool, int, float, str):
        raise TypeError(f"{where} is a {type(value).__name__}; expected None, bool, int, float, str, list or dict")
