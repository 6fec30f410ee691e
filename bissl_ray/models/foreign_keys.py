"""Parameter names of other libraries, brought to timm's: Hugging Face's transformers, and ConvNeXt's own code."""

import re
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from bissl_ray.models.timm_keys import Rules

_LAYER = r"encoder\.stages\.(\d)\.layers\.(\d+)\."
_BLOCK = r"(?:encoder\.)?layers?\.(\d+)\."
_VIT: Rules = (
    (r"embeddings\.(cls_token|mask_token)", r"\1"),
    (r"embeddings\.distillation_token", "dist_token"),
    (r"embeddings\.register_tokens", "reg_token"),
    (r"embeddings\.position_embeddings", "pos_embed"),
    (r"embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (rf"{_BLOCK}(?:layernorm_before|norm1)\.", r"blocks.\1.norm1."),
    (rf"{_BLOCK}(?:layernorm_after|norm2)\.", r"blocks.\1.norm2."),
    (rf"{_BLOCK}(?:attention\.attention\.(query|key|value)|attention\.([qkv])_proj)\.", lambda m: _attention(m)),
    (rf"{_BLOCK}attention\.(?:output\.dense|o_proj)\.", r"blocks.\1.attn.proj."),
    (rf"{_BLOCK}(?:intermediate\.dense|mlp\.fc1)\.", r"blocks.\1.mlp.fc1."),
    (rf"{_BLOCK}(?:output\.dense|mlp\.fc2)\.", r"blocks.\1.mlp.fc2."),
    (rf"{_BLOCK}layer_scale([12])\.lambda1", r"blocks.\1.ls\2.gamma"),
    (r"layernorm\.", "norm."),
    (r"pooler\.", "head.pooler."),
)
_RESNET: Rules = (
    (r"embedder\.embedder\.convolution\.", "conv1."),
    (r"embedder\.embedder\.normalization\.", "bn1."),
    (rf"{_LAYER}layer\.(\d)\.convolution\.", lambda m: _in_layer(m, f"conv{int(m[3]) + 1}.")),
    (rf"{_LAYER}layer\.(\d)\.normalization\.", lambda m: _in_layer(m, f"bn{int(m[3]) + 1}.")),
    (rf"{_LAYER}shortcut\.convolution\.", lambda m: _in_layer(m, "downsample.0.")),
    (rf"{_LAYER}shortcut\.normalization\.", lambda m: _in_layer(m, "downsample.1.")),
)
_CONVNEXT: Rules = (
    (r"embeddings\.patch_embeddings\.", "stem.0."),
    (r"embeddings\.layernorm\.", "stem.1."),
    (r"encoder\.stages\.(\d)\.downsampling_layer\.", r"stages.\1.downsample."),
    (r"encoder\.stages\.(\d)\.layers\.(\d+)\.dwconv\.", r"stages.\1.blocks.\2.conv_dw."),
    (r"encoder\.stages\.(\d)\.layers\.(\d+)\.layernorm\.", r"stages.\1.blocks.\2.norm."),
    (r"encoder\.stages\.(\d)\.layers\.(\d+)\.pwconv([12])\.", r"stages.\1.blocks.\2.mlp.fc\3."),
    (r"encoder\.stages\.(\d)\.layers\.(\d+)\.layer_scale_parameter", r"stages.\1.blocks.\2.gamma"),
    (r"layernorm\.", "head.norm."),
    (r"classifier\.", "head.fc."),
)
_CONVNEXT_OWN: Rules = (
    (r"downsample_layers\.0\.", "stem."),
    (r"downsample_layers\.(\d)\.", r"stages.\1.downsample."),
    (r"stages\.(\d)\.(\d+)\.dwconv\.", r"stages.\1.blocks.\2.conv_dw."),
    (r"stages\.(\d)\.(\d+)\.norm\.", r"stages.\1.blocks.\2.norm."),
    (r"stages\.(\d)\.(\d+)\.pwconv([12])\.", r"stages.\1.blocks.\2.mlp.fc\3."),
    (r"stages\.(\d)\.(\d+)\.gamma", r"stages.\1.blocks.\2.gamma"),
    (r"norm\.", "head.norm."),
    (r"head\.", "head.fc."),
)

FIRST: Final[Mapping[str, Rules]] = {
    "embeddings.patch_embeddings.projection.weight": _VIT,
    "embedder.embedder.convolution.weight": _RESNET,
    "embeddings.patch_embeddings.weight": _CONVNEXT,
    "downsample_layers.0.0.weight": _CONVNEXT_OWN,
}
"""First parameters by which such a backbone is known, each with its rules."""


def _attention(found: re.Match[str]) -> str:
    part = (found[2] or found[3])[0]
    return f"blocks.{found[1]}.attn.{part}."


def _in_layer(found: re.Match[str], name: str) -> str:
    return f"layer{int(found[1]) + 1}.{found[2]}.{name}"


def to_timm_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state with timm's names where it has another library's; else as it is.

    Queries, keys and values, which transformers keeps apart, become the one matrix that timm has.
    """
    rules = next((rules for first, rules in FIRST.items() if first in state), ())
    renamed = dict(state)
    if rules:
        renamed = {_renamed(key, rules): tensor for key, tensor in state.items()}
    for key in [key for key in renamed if re.fullmatch(r"blocks\.\d+\.attn\.q\.\w+", key)]:
        parts = [key.replace(".attn.q.", f".attn.{part}.") for part in "qkv"]
        if all(part in renamed for part in parts):
            renamed[key.replace(".attn.q.", ".attn.qkv.")] = torch.cat([renamed.pop(part) for part in parts])
    return renamed


def _renamed(key: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        name, changed = re.subn(f"^{pattern}", replacement, key)
        if changed:
            return name
    return key
