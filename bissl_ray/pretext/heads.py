"""Embeddings of which only the direction counts."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def unit_rows(rows: Tensor) -> Tensor:
    """Rows (n, d) brought to length 1, in float32 at least: under autocast the network ends in bfloat16."""
    return F.normalize(rows.to(torch.promote_types(rows.dtype, torch.float32)), dim=1)


def on_sphere(embeddings: Tensor) -> Tensor:
    """Rows (N, d) of length √d: spread evenly around that sphere, they deviate by 1 in each dimension."""
    return F.normalize(embeddings, dim=1) * math.sqrt(embeddings.shape[1])


def projection_head(width_in: int, hidden: int, width_out: int, hidden_bias: bool = True) -> nn.Sequential:
    """Three layers: twice Linear, batch norm, ReLU, then Linear without a bias.

    This is how the published heads of BiSSL ("256-256-256"), VICReg and, without biases, Barlow Twins are laid out
    (keys 0, 1, 3, 4 and 6).

    Args:
        width_in: width of the input features.
        hidden: width of both hidden layers.
        width_out: width of the embedding.
        hidden_bias: whether the hidden layers have biases; the batch norm after them takes any bias out again.
    """
    return nn.Sequential(
        nn.Linear(width_in, hidden, bias=hidden_bias),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, hidden, bias=hidden_bias),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, width_out, bias=False),
    )
