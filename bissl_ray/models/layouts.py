"""Finds the backbone among the tensors of a checkpoint that other code wrote, by the names of its keys.

Self-supervised training saves more than a backbone: heads, a second network that follows the first, an average, a
queue, the optimizer. What holds the backbone is told by the names inside: those of a known architecture's first
parameters, with its later ones beside them.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from bissl_ray.models.foreign_keys import FIRST, to_timm_keys
from bissl_ray.models.odd_tensors import refuse_odd
from bissl_ray.models.trunks import chosen_trunk, soonest

_NESTS: Final = ("state_dict", "model", "model_state_dict", "model_state", "module", "weights", "params")
"""Under these a file holds the network itself."""
_TRUNKS: Final = (
    ("conv1.weight", r"layer1\.0\."),
    ("class_token", r"encoder\.layers\."),
    ("cls_token", r"blocks\.0\."),
    ("patch_embed.proj.weight", r"blocks\.0\."),
    ("conv_proj.weight", r"encoder\.layers\."),
    ("features.0.0.weight", r"features\.1\.0\."),
    ("stem.0.weight", r"(?:stages\.0\.|stem\.1\.|layer1\.)"),
    *((first, "") for first in FIRST),
)
"""First parameters of the known architectures, each with how names begin that stand beside it."""
_FIRST: Final = frozenset(first for first, _ in _TRUNKS)
_IN_A_LIST: Final = re.compile(r"(?:^|\.)\d+\.0\.conv1\.weight$")
_INSIDE: Final = re.compile(r"(?:layer\d+|\d+|stages|features|blocks|stem|downsample_layers)\.")
_LAYOUTS: Final = (
    ("VISSL", r"(?:classy_state_dict\.)?(?:base_model\.)?(?:model\.)?(?:trunk\.)?_feature_blocks\."),
    ("MoCo", r"encoder_q\."),
    ("MoCo v3", r"base_encoder\."),
    ("BYOL", r"(?:learner\.)?online_(?:encoder|network|network_state_dict)\.(?:net\.|encoder\.)?"),
    ("DINO", r"(?:teacher|student)\.(?:backbone\.)?"),
    ("solo-learn, lightly, VICReg and others", r"backbone\."),
    ("lightly", r"model\.backbone\."),
    ("SimSiam and others", r"encoder\."),
)
"""Whose way of saving a backbone it is, by how its names begin."""
_NO_NETWORK: Final = re.compile(
    r"(?:optim\w*|(?:\w*_)?optimizer\w*|exp_avg\w*|momentum_buffers?|grads?|gradients?|scaler|\w*scheduler\w*|rng_state\w*)\."
)
_WRAPPERS: Final = re.compile(
    r"(^|\.)(?:(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module|_ddp_module)\.)+"
)
"""What training on several devices, compilation and checkpointing put in front of names."""


@dataclass(frozen=True)
class FoundBackbone:
    """A backbone among a file's tensors.

    Attributes:
        layout: whose way of saving it is, where that is known, and how names begin there; "" for a plain state dict.
        state: its tensors, by torchvision's or timm's names; heads may be among them.
        others: how many further tensors the file holds.
        note: which of several networks was taken, in words; "" where there is one.
    """

    layout: str
    state: dict[str, Tensor]
    others: int
    note: str = ""


def find_backbone(content: Any) -> FoundBackbone | None:
    """Look for a backbone in what a checkpoint file holds.

    Args:
        content: nested dicts with tensors somewhere; other values are passed over.

    Returns:
        What was found; None where the content has no tensors by name.

    Raises:
        SeveralTrunksError: it holds several backbones, and no telling which is meant.
        NotPlainError: a tensor of the backbone's is one that no weights are.
    """
    nests: dict[str, str] = {}
    tensors = named_tensors(content, nests)
    if not tensors:
        return None
    averaged = next((tensors[key] for key in tensors if key.rpartition(".")[2] == "n_averaged"), None)
    note = "" if averaged is None else _average_of(averaged)
    prefixes = trunks(tensors) or [_known_prefix(tensors)]
    prefix, choice = chosen_trunk(prefixes)
    state = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    if not prefix:
        # Another network beside it is no part of it, nor is what lies beside the dict that it is in.
        beside = tuple(other for other in prefixes if other)
        within = next((nests[key] for key in tensors if key in _FIRST), None)
        state = {
            key: tensor
            for key, tensor in state.items()
            if not key.startswith(beside) and within in (None, nests[key]) and key != "n_averaged"
        }
    layout = _layout(prefix) if prefix else ""
    refuse_odd(state)
    return FoundBackbone(
        layout, to_timm_keys(_named(state)), len(tensors) - len(state), "; ".join(filter(None, (choice, note)))
    )


def _average_of(count: Tensor) -> str:
    """What a counter of averaged models says; nothing where it is none."""
    whole = count.numel() == 1 and not (count.is_meta or count.is_complex()) and count.layout is torch.strided
    if not whole or not math.isfinite(number := count.item()):
        return ""
    return f"an average of {int(number)} models (SWA or EMA)"


def named_tensors(content: Any, nests: dict[str, str] | None = None) -> dict[str, Tensor]:
    """All tensors of nested dicts by their names, what wraps a network taken off.

    Args:
        content: the dicts.
        nests: receives, by the same names, what each lies under that only says that there is a network.
    """
    tensors: dict[str, Tensor] = {}
    for nested, name, tensor in _flat(content, "", ""):
        # Two networks under one name: the second keeps what it lies under.
        short = _WRAPPERS.sub(r"\1", name)
        if short in tensors:
            short = _WRAPPERS.sub(r"\1", nested)
        if tensors.setdefault(short, tensor) is tensor and nests is not None:
            nests[short] = nested.removesuffix(name)
    return tensors


def _flat(content: Any, nested: str, name: str) -> Iterator[tuple[str, str, Tensor]]:
    """Each tensor with its whole name, and its name without what only says that there is a network."""
    if isinstance(content, Tensor):
        if name:
            yield nested.removesuffix("."), name.removesuffix("."), content
        return
    if not isinstance(content, Mapping):
        return
    order = [*[key for key in _NESTS if key in content], *[key for key in content if key not in _NESTS]]
    for key in order:
        if isinstance(key, str):
            inner = content[key]
            is_nest = key in _NESTS and isinstance(inner, Mapping)
            yield from _flat(inner, f"{nested}{key}.", name if is_nest else f"{name}{key}.")


def trunks(tensors: Mapping[str, Tensor]) -> list[str]:
    """How names begin in each backbone; what an optimizer keeps of one counts where there is nothing else."""
    networks = [key for key in tensors if not _NO_NETWORK.match(key)]
    return _trunks(networks) or _trunks(tensors)


def _trunks(tensors: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for key in tensors:
        in_a_list = _IN_A_LIST.search(key)
        if in_a_list:
            found[key[: in_a_list.start() + (in_a_list[0][0] == ".")]] = None
        for first, beside in _TRUNKS:
            prefix = key.removesuffix(first)
            whole = prefix != key and (not prefix or prefix.endswith("."))
            if whole and any(re.match(re.escape(prefix) + beside, other) for other in tensors):
                found[prefix] = None
    return [prefix for prefix in found if not any(_is_inside(prefix, other) for other in found)]


def _is_inside(prefix: str, other: str) -> bool:
    """Whether what lies under a prefix is a part of the backbone under another."""
    return prefix != other and prefix.startswith(other) and _INSIDE.match(prefix[len(other) :]) is not None


def _known_prefix(tensors: Iterable[str]) -> str:
    """How names begin in the backbone of a known layout, whatever its architecture; "" where there is none."""
    for _, pattern in _LAYOUTS:
        found = {match[0] for key in tensors if (match := re.match(pattern, key))}
        if found:
            return soonest(found)
    return ""


def _layout(prefix: str) -> str:
    for name, pattern in _LAYOUTS:
        if re.fullmatch(pattern, prefix):
            return f"{name} ({prefix}*)"
    return f"a backbone under {prefix}*"


def _named(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The parts of a residual network by name, where it was saved as a list of them, with the pooling or without."""
    stages = sorted({int(key.split(".")[0]) for key in state if re.match(r"\d+\.0\.conv1\.weight$", key)})
    if not stages:
        return state
    children = {str(place): f"layer{number}" for number, place in enumerate(stages, start=1)}
    for place in map(str, range(stages[0])):
        weight = state.get(f"{place}.weight")
        if weight is not None:
            children[place] = "conv1" if weight.dim() == 4 else "bn1"
    named = {}
    for key, tensor in state.items():
        child, _, rest = key.partition(".")
        named[f"{children.get(child, child)}.{rest}"] = tensor
    return named
