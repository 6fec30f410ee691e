"""Positional embeddings of vision transformers, fitted to images of another size."""

from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor

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
