"""Finds the backbone among the tensors of a checkpoint that other code wrote, by the names of its keys.

Self-supervised training saves more than a backbone: heads, a second network that follows the first, a queue, the
optimizer. What holds the backbone is told by how its names begin.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

_NESTS = ("state_dict", "model", "model_state_dict")
_BARE = (
    "conv1.weight",
    "class_token",
    "cls_token",
    "conv_proj.weight",
    "patch_embed.proj.weight",
    "features.0.0.weight",
    "stem.0.weight",
)
"""First parameters of the known architectures: a state dict with one of them is a backbone's own."""
_LAYOUTS = (
    ("VISSL", "classy_state_dict.base_model.model.trunk._feature_blocks."),
    ("VISSL", "base_model.model.trunk._feature_blocks."),
    ("VISSL", "trunk._feature_blocks."),
    ("VISSL", "_feature_blocks."),
    ("MoCo", "encoder_q."),
    ("MoCo v3", "base_encoder."),
    ("BYOL", "online_network_state_dict.encoder."),
    ("BYOL", "online_network_state_dict."),
    ("BYOL", "learner.online_encoder.net."),
    ("BYOL", "online_encoder.net."),
    ("BYOL", "online_encoder."),
    ("BYOL", "online_network.encoder."),
    ("BYOL", "online_network."),
    ("DINO", "teacher.backbone."),
    ("DINO", "teacher."),
    ("DINO", "student.backbone."),
    ("solo-learn, lightly, VICReg and others", "backbone."),
    ("lightly", "model.backbone."),
    ("SimSiam and others", "encoder."),
)
"""Where a backbone lies by how its names begin; the first that a file has is taken."""
_WRAPPERS = re.compile(r"(^|\.)(?:(?:module|_orig_mod)\.)+")
"""What data-parallel training and torch.compile put in front of names."""
_CHILDREN_OF_RESNET = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


@dataclass(frozen=True)
class FoundBackbone:
    """A backbone among a file's tensors.

    Attributes:
        layout: whose way of saving it is, where that is known, and how names begin there; "" for a plain state dict.
        state: its tensors, by the architecture's own names; heads may be among them.
        others: how many further tensors the file holds.
    """

    layout: str
    state: dict[str, Tensor]
    others: int


def find_backbone(content: Any) -> FoundBackbone | None:
    """Look for a backbone in what a checkpoint file holds.

    Args:
        content: nested dicts with tensors somewhere; other values are passed over.

    Returns:
        What was found; None where the content has no tensors by name.
    """
    while isinstance(content, dict):
        nest = next((nest for nest in _NESTS if isinstance(content.get(nest), dict)), None)
        if nest is None:
            break
        content = content[nest]
    tensors = {_WRAPPERS.sub(r"\1", name): tensor for name, tensor in _flat(content, "")}
    if not tensors:
        return None
    if not any(first in tensors for first in _BARE):
        for name, prefix in _LAYOUTS:
            state = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
            if state:
                return FoundBackbone(f"{name} ({prefix}*)", _named(state), len(tensors) - len(state))
        prefix = _common_prefix(tensors)
        state = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
        if prefix and len(state) > len(tensors) / 2:
            return FoundBackbone(f"a backbone under {prefix}*", state, len(tensors) - len(state))
    return FoundBackbone("", _named(tensors), 0)


def _common_prefix(names: Iterable[str]) -> str:
    """What stands before the first parameter of a known architecture, where one network alone has such; or ""."""
    found = {name.removesuffix(first) for name in names for first in _BARE if name.endswith(f".{first}")}
    shortest = min(found, key=len, default="")
    return shortest if all(prefix.startswith(shortest) for prefix in found) else ""


def _flat(content: Any, prefix: str) -> list[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        return [(prefix.removesuffix("."), content)] if prefix else []
    if not isinstance(content, Mapping):
        return []
    return [pair for key, value in content.items() if isinstance(key, str) for pair in _flat(value, f"{prefix}{key}.")]


def _named(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The parts of a residual network by name, where it was saved as a list of them, less the last."""
    if "4.0.conv1.weight" not in state:
        return state
    named = {}
    for key, tensor in state.items():
        child, _, rest = key.partition(".")
        named[f"{_CHILDREN_OF_RESNET.get(child, child)}.{rest}"] = tensor
    return named
