"""Reads and writes checkpoint files; never unpickles anything but tensors and plain values.

Our own file is a `torch.save` of one dict: format, version, backbone, pretext, metadata. Read as
well: a state dict with torchvision's or timm's keys, bare or nested, from .pth, .pt or .safetensors.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from bissl_ray.errors import BadInputError

_FORMAT = "bissl-ray checkpoint"
_VERSION = 1
_NESTS = ("state_dict", "model")
_HEAD_PREFIXES = ("projector.", "predictor.")
_CLASSIFIER_KEYS = ("fc.weight", "fc.bias")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds, on the CPU.

    Attributes:
        backbone: tensors by the architecture's own parameter names; the classification layer is left out.
        pretext: state of the pretext task (projector.0.weight, ...), or None where the file has none.
        metadata: plain values that were saved beside them; empty for a foreign file.
        downstream: state of the downstream task (head.weight, ...), or None where the file has none.
    """

    backbone: dict[str, Tensor]
    pretext: dict[str, Tensor] | None
    metadata: dict[str, Any]
    downstream: dict[str, Tensor] | None = None


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


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint of ours, or a state dict with torchvision's or timm's keys.

    A foreign state dict may be nested under "state_dict" or "model", its keys may begin with
    "module." and "backbone."; projector.* and predictor.* are taken for the pretext head, fc.* is
    dropped.

    Raises:
        BadInputError: the file is missing, empty, damaged, holds anything but tensors and plain
            values, or no state dict is found in it.
    """
    source = Path(path)
    if not source.is_file():
        raise BadInputError(
            f"no checkpoint file at {source}; expected a .pth, .pt or .safetensors file: check the path"
        )
    if source.stat().st_size == 0:
        raise BadInputError(f"{source} is empty; expected a checkpoint: fetch or write it again")
    content = _read_safetensors(source) if source.suffix == ".safetensors" else _read_torch(source)
    if isinstance(content, dict) and content.get("format") == _FORMAT:
        if content.get("version") != _VERSION:
            raise BadInputError(
                f"{source} has checkpoint version {content.get('version')}, this release reads {_VERSION}: "
                "read it with the release that wrote it"
            )
        return Checkpoint(content["backbone"], content["pretext"], content["metadata"], content.get("downstream"))
    state = _foreign_state(content, source)
    head = {key: tensor for key, tensor in state.items() if key.startswith(_HEAD_PREFIXES)}
    backbone = {key: tensor for key, tensor in state.items() if key not in head and key not in _CLASSIFIER_KEYS}
    return Checkpoint(backbone, head or None, {})


def _read_torch(source: Path) -> Any:
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises OSError, KeyError, EOFError or RuntimeError, as the bytes fall
        foreign = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, UnpicklingError) else None
        if foreign:
            raise BadInputError(
                f"{source} holds a pickled {foreign.group(1)}; only tensors and plain values are ever "
                "unpickled: save the state dict alone with torch.save(model.state_dict(), path)"
            ) from None
        raise BadInputError(
            f"{source} is not a readable torch file ({type(error).__name__}), it may be cut short: "
            "fetch or write it again"
        ) from error


def _read_safetensors(source: Path) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise BadInputError(
            f"{source} needs the safetensors package, which is not installed: pip install safetensors"
        ) from None
    try:
        return load_file(source, device="cpu")
    except SafetensorError:
        raise BadInputError(
            f"{source} is not a readable safetensors file, it may be cut short: fetch or write it again"
        ) from None


def _foreign_state(content: Any, source: Path) -> dict[str, Tensor]:
    for nest in _NESTS:
        if isinstance(content, dict) and isinstance(content.get(nest), dict):
            content = content[nest]
    if not isinstance(content, dict) or not content or not all(map(_is_named_tensor, content.items())):
        keys = f" with keys {', '.join(map(str, list(content)[:3]))}" if isinstance(content, dict) else ""
        raise BadInputError(
            f"{source} holds a {type(content).__name__}{keys}; "
            "expected tensors by name, bare or under 'state_dict' or 'model': "
            "save the state dict with torch.save(model.state_dict(), path)"
        )
    return {key.removeprefix("module.").removeprefix("backbone."): tensor for key, tensor in content.items()}


def _is_named_tensor(item: tuple[object, object]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


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
