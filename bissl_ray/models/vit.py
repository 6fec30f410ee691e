"""Vision transformers (Dosovitskiy et al. 2021) with torchvision's layers and torchvision's parameter names."""

from typing import NamedTuple

import torch
from torch import Tensor

from bissl_ray.config.backbones import VITS
from bissl_ray.config.stages import STAGES
from bissl_ray.models.attention import twice_differentiable_attention
from bissl_ray.models.base import Backbone


class TransformerSize(NamedTuple):
    """How deep and wide a transformer is."""

    layers: int
    heads: int
    width: int


_SIZES = {
    "ti": TransformerSize(12, 3, 192),
    "s": TransformerSize(12, 6, 384),
    "b": TransformerSize(12, 12, 768),
    "l": TransformerSize(24, 16, 1024),
    "h": TransformerSize(32, 16, 1280),
}
"""The tiny and the small one are those of DeiT (Touvron et al. 2021), which torchvision has no names for."""


def size_of(architecture: str) -> TransformerSize:
    """The size that an architecture's name stands for."""
    return _SIZES[architecture.split("_")[1]]


class VisionTransformer(Backbone):
    """torchvision's vision transformer up to its normalised class token, less heads.head.

    Args:
        architecture: "vit_b_16": size and side of the patches.
        image_size: side of the images in pixels, a multiple of the patches'; the positional embedding is made for it.
    """

    def __init__(self, architecture: str, image_size: int) -> None:
        from torchvision.models import VisionTransformer as Network

        size = size_of(architecture)
        network = Network(
            image_size=image_size,
            patch_size=VITS[architecture],
            num_layers=size.layers,
            num_heads=size.heads,
            hidden_dim=size.width,
            mlp_dim=4 * size.width,
        )
        super().__init__(architecture, feature_dim=size.width, stages=_stages(size.layers))
        self.class_token = network.class_token
        self.conv_proj = network.conv_proj
        self.encoder = network.encoder

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, feature_dim) of images (N, 3, image_size, image_size)."""
        patches = self.conv_proj(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(images), -1, -1), patches], dim=1)
        with twice_differentiable_attention(images.device):
            encoded: Tensor = self.encoder(tokens)
        return encoded[:, 0]


def _stages(layers: int) -> dict[str, tuple[str, ...]]:
    stem, *rest = STAGES
    each = layers // len(rest)
    stages: dict[str, tuple[str, ...]] = {stem: ("class_token", "conv_proj", "encoder.pos_embedding")}
    for number, stage in enumerate(rest):
        blocks = range(number * each, (number + 1) * each)
        stages[stage] = tuple(f"encoder.layers.encoder_layer_{block}" for block in blocks)
    stages[rest[-1]] += ("encoder.ln",)
    return stages
