"""Supervised objectives of the upper level: each owns its head, batch, transforms, loss and exact metrics."""

from bissl_ray.downstream.base import Batch, DownstreamTask, Prepare, in_mode, refuse_no_images
from bissl_ray.downstream.build import TASKS, downstream_names, downstream_task
from bissl_ray.downstream.linear import LabelledImages, LinearTask, Tally

__all__ = [
    "TASKS",
    "Batch",
    "DownstreamTask",
    "LabelledImages",
    "LinearTask",
    "Prepare",
    "Tally",
    "downstream_names",
    "downstream_task",
    "in_mode",
    "refuse_no_images",
]
