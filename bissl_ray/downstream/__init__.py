"""Supervised objectives of the upper level: each owns its head, batch, transforms, loss and exact metrics."""

from bissl_ray.downstream.base import Batch, DownstreamTask, Prepare, Scores, WholeModel, in_mode, refuse_no_images
from bissl_ray.downstream.build import TASKS, check_frozen, check_task, downstream_names, downstream_task, judged_by
from bissl_ray.downstream.linear import LabelledImages, LinearTask, Tally

__all__ = [
    "TASKS",
    "Batch",
    "DownstreamTask",
    "LabelledImages",
    "LinearTask",
    "Prepare",
    "Scores",
    "Tally",
    "WholeModel",
    "check_frozen",
    "check_task",
    "downstream_names",
    "downstream_task",
    "in_mode",
    "judged_by",
    "refuse_no_images",
]
