"""Exact metrics over a whole split, however its images are shared among workers."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from bissl_ray.downstream.base import DownstreamTask, LabelledImages
from bissl_ray.parallel import Group, all_reduce_sum


def evaluate(
    backbone: nn.Module,
    task: DownstreamTask,
    batches: Iterable[LabelledImages],
    group: Group = None,
) -> dict[str, float]:
    """Score a model on a split, in evaluation mode; each module's mode is restored afterwards.

    Every worker must call, and gets the same figures: those of one process, for every image is counted
    once. Shares may be uneven or empty.

    Args:
        backbone: maps images to features.
        task: the head, its loss and its figures.
        batches: this worker's share of the split, on the task's device, in the order of the split.
        group: the workers that share the split.

    Returns:
        All figures of the task's `tally`, in [0, 1] (top1, top5 and mean_per_class, or map11 and map), and
        loss: mean loss per image.

    Raises:
        BadInputError: no worker has any image, or the labels don't suit the task.
    """
    tally = task.tally()
    totals = torch.zeros(2, dtype=torch.float64, device=next(task.parameters()).device)
    with torch.no_grad(), evaluation_mode(backbone, task):
        for images, labels in batches:
            scores = task(backbone(images))
            losses = task.loss_of_scores(scores, labels)
            totals += torch.stack([losses.double().sum(), torch.ones_like(losses).double().sum()])
            tally.add(scores, labels)
        figures = tally.figures(group)
        loss, count = all_reduce_sum(totals, group).tolist()
    return {**figures, "loss": loss / count}


@contextmanager
def evaluation_mode(*modules: nn.Module) -> Iterator[None]:
    """Put modules into evaluation mode, and each part back into its own afterwards."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for part, training in modes:
            part.training = training
