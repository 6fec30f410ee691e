"""Supervised objectives of the upper level, and exact metrics over a split."""

from bissl_ray.downstream.base import DownstreamTask, LabelledImages
from bissl_ray.downstream.build import build_downstream, downstream_names
from bissl_ray.downstream.classification import ClassificationTask
from bissl_ray.downstream.metrics import evaluate

__all__ = [
    "ClassificationTask",
    "DownstreamTask",
    "LabelledImages",
    "build_downstream",
    "downstream_names",
    "evaluate",
]
