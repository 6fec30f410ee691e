"""How spread out the embeddings of the pretext task are: the two numbers that tell of collapse."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bissl_ray.bilevel.measurements import on_host
from bissl_ray.parallel import Group, all_gather, frozen_statistics
from bissl_ray.pretext import PretextTask, on_sphere
from bissl_ray.training.worker import in_step


@dataclass(frozen=True)
class EmbeddingStatistics:
    """Spread of embeddings as the pretext loss compares them, the same on all workers.

    Attributes:
        std: standard deviation over images, mean over the d dimensions, in units of an even spread: 1 where they are
            spread evenly, 0 where all are one point. Of directions, those around the sphere of radius √d (Chen and He
            2021, "Exploring simple Siamese representation learning", section 4.1).
        rank: effective rank, exp of the entropy of the singular values as shares of their sum: 1 on one line, at most
            min(images, d) (Roy and Vetterli 2007; as RankMe, Garrido et al. 2023).
    """

    std: float
    rank: float


def measure_embeddings(task: PretextTask, backbone: nn.Module, batch: Any) -> EmbeddingStatistics:
    """Embed this worker's share of a batch and measure the embeddings of all workers' (collective).

    In the mode that the modules are in, without gradient; no running statistic moves.

    Args:
        task: the pretext task with its head.
        backbone: the lower backbone.
        batch: as `task.collate` makes it, of the same number of images on all workers.

    Raises:
        FloatingPointError: as `embedding_statistics`.
    """
    with torch.no_grad(), frozen_statistics(task, backbone):
        embeddings = task.embeddings(backbone, batch)
    return embedding_statistics(embeddings, task.compared)


@torch.no_grad()
def embedding_statistics(
    embeddings: Tensor, compared: Callable[[Tensor], Tensor] = on_sphere, group: Group = None
) -> EmbeddingStatistics:
    """Measure the embeddings of the global batch (collective).

    In double precision, so that singular values can be taken from the smaller of the two Gram matrices: rounding
    leaves 1e-8 of the largest, nothing of an entropy.

    Args:
        embeddings: this worker's rows, `[n, d]`, of any length; the same shape on all workers.
        compared: as `PretextTask.compared`.
        group: the workers.

    Raises:
        FloatingPointError: an embedding is not finite; the same on all workers.
    """
    rows = compared(all_gather(embeddings, group).double())
    std = _agreed(rows.std(dim=0, correction=0).mean(), group)
    if not math.isfinite(std):
        raise in_step(FloatingPointError(f"the pretext embeddings deviate by {std}: the lower level has diverged"))
    gram = rows @ rows.T if rows.shape[0] < rows.shape[1] else rows.T @ rows
    singular = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    shares = singular / singular.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return EmbeddingStatistics(std, math.exp(_agreed(torch.special.entr(shares).sum(), group)))


def _agreed(number: Tensor, group: Group) -> float:
    # Trials end by these numbers. If unlike devices rounded differently, one worker might end and the others not.
    return on_host([[number]], group)[0][0]
