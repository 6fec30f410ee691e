"""Exact metrics over a whole split, however its images are shared among workers."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bissl_ray.downstream.base import DownstreamTask, LabelledImages
from bissl_ray.errors import BadInputError
from bissl_ray.parallel import Group, all_reduce_sum


def evaluate(
    backbone: nn.Module,
    task: DownstreamTask,
    batches: Iterable[LabelledImages],
    group: Group = None,
) -> dict[str, float]:
    """Score a model on a split, in evaluation mode; each module's mode is restored afterwards.

    Workers count what they saw, and the counts are summed once, so shares may be uneven or empty
    and the figures are those of one process. Every worker must call, and gets the same figures.
    All metrics come from the same counts, so all are always returned.

    Args:
        backbone: maps images to features.
        task: the head and its loss.
        batches: this worker's share of the split, on the task's device.
        group: the workers that share the split.

    Returns:
        top1: fraction of images classified rightly, in [0, 1];
        mean_per_class: mean over the classes that occur of the fraction classified rightly, in [0, 1];
        loss: mean loss per image.

    Raises:
        BadInputError: no worker has any image.
    """
    counts = _Counts(task.classes, next(task.parameters()).device)
    with torch.no_grad(), _evaluation_mode(backbone, task):
        for images, labels in batches:
            scores = task(backbone(images))
            counts.add(scores, labels, task.loss_of_scores(scores, labels))
        return counts.summarise(group)


class _Counts:
    """Images and hits by class, and the summed loss: accumulated on the device, read once."""

    def __init__(self, classes: int, device: torch.device) -> None:
        # float64 holds counts exactly up to 2^53, so one tensor and one collective carry everything.
        self.images = torch.zeros(classes, dtype=torch.float64, device=device)
        self.hits = torch.zeros_like(self.images)
        self.loss = torch.zeros(1, dtype=torch.float64, device=device)

    def add(self, scores: Tensor, labels: Tensor, losses: Tensor) -> None:
        right = (scores.argmax(dim=1) == labels).double()
        self.images.index_add_(0, labels, torch.ones_like(right))
        self.hits.index_add_(0, labels, right)
        self.loss += losses.double().sum()

    def summarise(self, group: Group) -> dict[str, float]:
        totals = all_reduce_sum(torch.cat([self.images, self.hits, self.loss]), group).cpu()
        classes = self.images.numel()
        images, hits, loss = totals[:classes], totals[classes:-1], totals[-1]
        count = images.sum()
        if count == 0:
            raise BadInputError("no images to evaluate on any worker; expected at least one: check the split")
        occurring = images > 0
        return {
            "top1": float(hits.sum() / count),
            "mean_per_class": float((hits[occurring] / images[occurring]).mean()),
            "loss": float(loss / count),
        }


@contextmanager
def _evaluation_mode(*modules: nn.Module) -> Iterator[None]:
    modes = [(part, part.training) for module in modules for part in module.modules()]
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for part, training in modes:
            part.training = training
