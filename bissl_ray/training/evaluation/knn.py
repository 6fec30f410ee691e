"""k nearest neighbours on frozen features, weighted by similarity.

Wu et al. 2018, "Unsupervised feature learning via non-parametric instance discrimination", section 3.4.
"""

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from bissl_ray.data.spec import UNCERTAIN
from bissl_ray.downstream import LinearTask, refuse_no_images
from bissl_ray.errors import BadInputError
from bissl_ray.parallel import Group
from bissl_ray.training.evaluation.features import Features
from bissl_ray.training.precision import exact_arithmetic

NEIGHBOURS: Final = (20, 200)
"""Numbers of neighbours that the field reports."""
TEMPERATURE: Final = 0.07
_SIMILARITIES_AT_ONCE: Final = 2**24


@torch.no_grad()
def knn(
    train: Features,
    judged: Features,
    task: LinearTask,
    neighbours: Sequence[int] = NEIGHBOURS,
    temperature: float = TEMPERATURE,
    group: Group = None,
) -> list[dict[str, float]]:
    """Let the training images most like an image vote on its classes (collective).

    Images are alike by the cosine of their features; a neighbour at cosine s votes with weight exp(s / temperature) for
    the classes that it shows. Where several are exactly as like as the last of the neighbours, all of them
    vote: no order among equals has a say. Where images show several classes, a class's score is its share of the votes
    of those neighbours in which it counts.

    Args:
        train: this worker's share of the training images, without augmentation.
        judged: this worker's share of the images to judge.
        task: gives the figures; its weights are not used.
        neighbours: k, one for each judgement; of fewer training images, all vote.
        temperature: above 0; the lower, the more the nearest decide.
        group: the workers that share both splits.

    Returns:
        The figures of the task's tally for each k; votes have no loss.

    Raises:
        BadInputError: no training images or none to judge, or fewer than one neighbour.
    """
    if min(neighbours) < 1:
        raise BadInputError(f"{min(neighbours)} neighbours can't vote; expected at least 1")
    if not temperature > 0:
        raise BadInputError(f"the temperature of the votes is {temperature:g}; expected a number above 0")
    everything = train.gathered(group)
    if len(everything) == 0:
        raise refuse_no_images()
    known = F.normalize(everything.rows, dim=1)
    tallies = [task.tally() for _ in neighbours]
    at_once = max(1, _SIMILARITIES_AT_ONCE // len(known))
    with exact_arithmetic():
        for rows, labels in zip(torch.split(judged.rows, at_once), torch.split(judged.labels, at_once), strict=True):
            similarity = F.normalize(rows, dim=1) @ known.T
            for tally, k in zip(tallies, neighbours, strict=True):
                tally.add(_votes(similarity, everything.labels, task.classes, k, temperature), labels)
    return [tally.figures(group) for tally in tallies]


def _votes(similarity: Tensor, labels: Tensor, classes: int, neighbours: int, temperature: float) -> Tensor:
    """Votes (m, classes) of the neighbours of m images, by their similarity (m, n) to n images with labels."""
    last = similarity.topk(min(neighbours, similarity.shape[1])).values[:, -1:]
    voters = int((similarity >= last).sum(dim=1).max()) if len(similarity) else 0
    nearest, positions = similarity.topk(voters)
    # In double precision, so that in whatever order a GPU adds them, equal sums stay equal.
    weights = ((nearest.double() - 1) / temperature).exp().where(nearest >= last, 0)
    votes = weights.new_zeros(len(similarity), classes)
    if labels.ndim == 1:
        return votes.scatter_add_(1, labels[positions], weights).to(similarity.dtype)
    counted = torch.zeros_like(votes)
    for number in range(classes):
        ballots = labels[:, number][positions]
        votes[:, number] = (weights * (ballots == 1)).sum(dim=1)
        counted[:, number] = (weights * (ballots != UNCERTAIN)).sum(dim=1)
    return (votes / counted.clamp_min(torch.finfo(votes.dtype).tiny)).to(similarity.dtype)
