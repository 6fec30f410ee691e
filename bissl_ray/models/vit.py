"""Positional embeddings of vision transformers, fitted to images of another size."""

from math import isqrt
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from bissl_ray.config.names import PARTS, VITS
from bissl_ray.models.base import Backbone, twice_differentiable_attention
from bissl_ray.parallel import BatchNormMode

POSITIONS = ("encoder.pos_embedding", "pos_embed")
"""What torchvision and timm call them."""
_MOST_PREFIX_TOKENS = 8


def fitted_positions(embedding: Tensor, tokens: int) -> Tensor | None:
    """Interpolate a positional embedding to another number of patches (bicubic with antialiasing, as timm does).

    Args:
        embedding: (1, tokens, width): those of class token and the like first, then a square of patches by rows.
        tokens: how many are wanted.

    Returns:
        (1, tokens, width) in the embedding's type, those before the patches as they were; None where one of the two is
        no square of patches with equally many before.
    """
    if embedding.dim() != 3 or embedding.shape[0] != 1:
        return None
    for before in range(_MOST_PREFIX_TOKENS + 1):
        old, new = side(embedding.shape[1] - before), side(tokens - before)
        if old and new:
            break
    else:
        return None
    first, patches = embedding[:, :before], embedding[:, before:]
    square = patches.reshape(1, old, old, -1).permute(0, 3, 1, 2).float()
    resized = F.interpolate(square, size=(new, new), mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([first, resized.permute(0, 2, 3, 1).reshape(1, new * new, -1).to(embedding.dtype)], dim=1)


def side(patches: int) -> int:
    """The side of a square of patches, 0 where there is none."""
    root = isqrt(max(patches, 0))
    return root if root * root == patches else 0


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
        super().__init__(architecture, feature_dim=size.width, parts=_parts(size.layers))
        self.class_token = network.class_token
        self.conv_proj = network.conv_proj
        self.encoder = network.encoder

    @classmethod
    def build(cls, name: str, image_size: int, batch_norm: BatchNormMode) -> Self:
        """The transformer of that name, for images of that size."""
        return cls(name, image_size)

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, feature_dim) of images (N, 3, image_size, image_size)."""
        patches = self.conv_proj(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(images), -1, -1), patches], dim=1)
        with twice_differentiable_attention(images, self):
            encoded: Tensor = self.encoder(tokens)
        return encoded[:, 0]


def _parts(layers: int) -> dict[str, tuple[str, ...]]:
    stem, *rest = PARTS
    each = layers // len(rest)
    parts: dict[str, tuple[str, ...]] = {stem: ("class_token", "conv_proj", "encoder.pos_embedding")}
    for number, part in enumerate(rest):
        blocks = range(number * each, (number + 1) * each)
        parts[part] = tuple(f"encoder.layers.encoder_layer_{block}" for block in blocks)
    parts[rest[-1]] += ("encoder.ln",)
    return parts
