"""What timm calls the parameters of torchvision's architectures, and the architectures themselves."""

import re
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from bissl_ray.config.names import CONVNEXTS, RESNETS, TIMM, VITS

Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]
"""How names change: what they begin with, and what stands there then."""

_VIT_SIZES = {"ti": "tiny", "s": "small", "b": "base", "l": "large", "h": "huge"}
_VIT: Rules = (
    (r"class_token", "cls_token"),
    (r"conv_proj", "patch_embed.proj"),
    (r"encoder\.pos_embedding", "pos_embed"),
    (r"encoder\.layers\.encoder_layer_(\d+)", r"blocks.\1"),
    (r"encoder\.ln", "norm"),
    (r"heads\.head", "head"),
    (r"(blocks\.\d+)\.ln_([12])", r"\1.norm\2"),
    (r"(blocks\.\d+)\.self_attention\.in_proj_", r"\1.attn.qkv."),
    (r"(blocks\.\d+)\.self_attention\.out_proj", r"\1.attn.proj"),
    (r"(blocks\.\d+)\.mlp\.0", r"\1.mlp.fc1"),
    (r"(blocks\.\d+)\.mlp\.3", r"\1.mlp.fc2"),
)
_CONVNEXT: Rules = (
    (r"features\.0\.", "stem."),
    (r"features\.([246])\.", lambda found: f"stages.{int(found[1]) // 2}.downsample."),
    (r"features\.([1357])\.", lambda found: f"stages.{int(found[1]) // 2}.blocks."),
    (r"(stages\.\d\.blocks\.\d+)\.layer_scale", r"\1.gamma"),
    (r"(stages\.\d\.blocks\.\d+)\.block\.0", r"\1.conv_dw"),
    (r"(stages\.\d\.blocks\.\d+)\.block\.2", r"\1.norm"),
    (r"(stages\.\d\.blocks\.\d+)\.block\.3", r"\1.mlp.fc1"),
    (r"(stages\.\d\.blocks\.\d+)\.block\.5", r"\1.mlp.fc2"),
    (r"classifier\.0", "head.norm"),
    (r"classifier\.2", "head.fc"),
)


def timm_model(architecture: str) -> str | None:
    """The name of the model of timm that computes what a backbone computes, or None where there is none."""
    if architecture.startswith(TIMM):
        return architecture.removeprefix(TIMM)
    if architecture in VITS:
        return f"vit_{_VIT_SIZES[architecture.split('_')[1]]}_patch{VITS[architecture]}_224"
    return architecture if architecture in (*RESNETS, *CONVNEXTS) else None


def timm_keys(architecture: str, keys: Iterable[str]) -> dict[str, str]:
    """What timm calls some parameters.

    Args:
        architecture: a backbone that `timm_model` has a name for.
        keys: names as the backbone has them; those of torchvision's classification layer as well.

    Returns:
        timm's name by the backbone's; the same one where both agree, as on residual networks.
    """
    rules: Rules = _VIT if architecture in VITS else _CONVNEXT if architecture in CONVNEXTS else ()
    names = {}
    for key in keys:
        name = key
        for pattern, replacement in rules:
            name = re.sub(f"^{pattern}", replacement, name)
        names[key] = name
    return names


def in_timm_keys(architecture: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state with timm's names and shapes, which differ in ConvNeXt's layer scale alone."""
    names = timm_keys(architecture, state)
    return {names[key]: tensor.flatten() if _is_layer_scale(key) else tensor for key, tensor in state.items()}


def from_timm_keys(expected: Mapping[str, Tensor], architecture: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state with a backbone's own names, where it has timm's; what timm doesn't call so stays as it is.

    Args:
        expected: the backbone's state.
        architecture: the backbone's name.
        state: tensors with its own names, or timm's.
    """
    own = {theirs: key for key, theirs in timm_keys(architecture, expected).items()}
    if sum(key in expected for key in state) >= sum(key in own for key in state):
        return dict(state)
    renamed = {own.get(key, key): tensor for key, tensor in state.items()}
    return {
        key: tensor.reshape(expected[key].shape)
        if _is_layer_scale(key) and key in expected and tensor.numel() == expected[key].numel()
        else tensor
        for key, tensor in renamed.items()
    }


def _is_layer_scale(key: str) -> bool:
    return key.endswith(".layer_scale")
