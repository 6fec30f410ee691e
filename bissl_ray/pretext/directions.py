"""Embeddings of which only the direction counts."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def unit_rows(rows: Tensor) -> Tensor:
    """Rows (n, d) brought to length 1, in float32 at least: under autocast the network ends in bfloat16."""
    return F.normalize(rows.to(torch.promote_types(rows.dtype, torch.float32)), dim=1)


def on_sphere(embeddings: Tensor) -> Tensor:
    """Rows (N, d) of length √d: spread evenly around that sphere, they deviate by 1 in each dimension."""
    return F.normalize(embeddings, dim=1) * math.sqrt(embeddings.shape[1])
